# make run    does everything, from an empty Debian 12 to machines that answer by name
# make test   checks everything but what takes minutes; make test-slow checks that
#
# ONCE=1       make run stops all it has started and ends with the result
# RELEASE=1    make run and make build optimise; slower to build

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

export ONCE RELEASE

.PHONY: help
help: ## 显示这张表
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | while IFS='|' read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done

.PHONY: run
run: ## 从零跑通全流程，然后继续服务；ONCE=1 时跑完收场
	@exec scripts/run.sh

.PHONY: stop
stop: ## 停掉 make run 留下的一切（服务、虚拟机、网络、存储池）
	@exec scripts/run.sh stop

.PHONY: test
test: ## 全部检查与测试（需要 root）
	@exec scripts/test.sh

.PHONY: test-slow
test-slow: ## make test 之外的慢测试：完整的 Debian 云镜像（需要 root，要几分钟）
	@exec scripts/test-slow.sh

.PHONY: test-k8s
test-k8s: ## 从集群接申请的故障与重压，次数是验收用的（要一个多小时）；PAUSES=、CROWD=、HOSTILE=、STALE=、AWAY=秒、STORM=秒
	@. scripts/env.sh; export JIYUE_TEST_PAUSES=$${PAUSES:-100} JIYUE_TEST_CROWD=$${CROWD:-500} \
	  JIYUE_TEST_HOSTILE=$${HOSTILE:-200} JIYUE_TEST_STALE=$${STALE:-20} JIYUE_TEST_AWAY_SECONDS=$${AWAY:-300} \
	  JIYUE_TEST_STORM_SECONDS=$${STORM:-60}; \
	  cargo test --locked --features crash-points --test it kubernetes:: -- --nocapture

.PHONY: eval-forms
eval-forms: ## 评测可研报告的读取与审核；SEED= 换一批，N= 换份数
	@. scripts/env.sh; cargo test --locked --test it forms::evaluation -- --nocapture

.PHONY: eval-idle
eval-idle: ## 评测闲置判定的规则集，写出 docs/eval-idle.md；DATA= 换轨迹，SEED= 换一批，SEEDS= 批数，N= 每类台数
	@. scripts/env.sh; WRITE=$${WRITE:-docs/eval-idle.md} cargo bench --locked --bench eval_idle

.PHONY: sample-report
sample-report: ## 用 LibreOffice 重新生成 samples/ 里的报告样例和空白表
	@. scripts/env.sh; WRITE_SAMPLES=1 cargo test --locked --test it -- forms::sample rooms::sample

.PHONY: setup
setup: ## 安装编译、运行、测试用的系统软件包（需要 root）
	@hypervisor/install.sh run test

.PHONY: build
build: ## 编译 jiyue
	@. scripts/env.sh; cargo build --locked $(if $(RELEASE),--release)

.PHONY: deb
deb: ## 造安装包 target/debian/jiyue_*.deb（优化编译，第一次较慢）
	@scripts/deb.sh

.PHONY: image
image: ## 造容器镜像 target/image/jiyue-*.tar，不用 Docker（需要 root）
	@scripts/image.sh

.PHONY: fmt
fmt: ## 排版源代码
	@. scripts/env.sh; cargo fmt

.PHONY: lint
lint: ## clippy，一个警告也不放过
	@. scripts/env.sh; cargo clippy --locked --all-targets --features crash-points -- -D warnings

.PHONY: deny
deny: ## 依赖的许可、来源与重复
	@scripts/deny.sh

.PHONY: fuzz-api
fuzz-api: ## 按接口文档编造请求，各角色共十万个以上；EXAMPLES= 每个接口的个数，SEED= 换一批
	@. scripts/env.sh; EXAMPLES=$${EXAMPLES:-260} cargo test --locked --features crash-points --test it fuzz_api:: -- --nocapture

.PHONY: bench-api
bench-api: ## 接口的速度：读一个操作与空的 axum 对比，百万行列表与千行对比；PART=read|list
	@. scripts/env.sh; cargo bench --locked --bench api

.PHONY: bench-build
bench-build: ## 建虚拟机的速度，与直接用 libvirt 对比（需要 root）；PART=share|fleet，N= 台数
	@. scripts/env.sh; cargo bench --locked --bench build

.PHONY: bench-claim
bench-claim: ## 批准的速度
	@. scripts/env.sh; cargo bench --locked --bench claim

.PHONY: bench-k8s
bench-k8s: ## 在集群上建虚拟机的速度，与直接写同样的对象对比；N= 台数
	@. scripts/env.sh; cargo bench --locked --bench kubernetes

.PHONY: bench-placement
bench-placement: ## 落位的速度与装箱的疏密；TRACE= 换轨迹文件，PART= 换其中一份
	@. scripts/env.sh; cargo bench --locked --bench placement

.PHONY: bench-rooms
bench-rooms: ## 机房被什么挡住：150 个机房、2000 个系统、2 万条依赖，与 PostgreSQL 的递归查询对比；同样规模的普查表一次导入，各报表的 CPU 用时
	@. scripts/env.sh; cargo bench --locked --bench rooms

.PHONY: bench-see
bench-see: ## 一万台虚拟机的总览页与空的 axum 对比，/metrics 的大小与开销；MACHINES= 换台数，ON=postgres
	@. scripts/env.sh; cargo bench --locked --bench see

.PHONY: bench-forms
bench-forms: ## 读一份 60 页可研报告的速度，与 python-docx 对比
	@benches/forms.sh

.PHONY: bench-usage
bench-usage: ## 用量的速度：导入与 VictoriaMetrics 对比，闲置报告与 DuckDB 对比；MACHINES=、DAYS= 缩小规模
	@benches/usage.sh

.PHONY: fuzz
fuzz: ## 用乱造的输入找解析器的错；每个目标 FUZZ_SECONDS=60 秒
	@scripts/fuzz.sh

.PHONY: clean
clean: ## 删除编译产物
	@. scripts/env.sh; cargo clean
