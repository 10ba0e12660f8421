//! 申请与办理

use super::each;
use crate::{
    metrics::series::{self, Series},
    seeing::{
        panel::{Board, Bounds::Above, Panel, Shape, Unit},
        query::{IN_BOARD, Want, Wants, once, pace, quantile, times, total},
        words,
    },
};

pub fn board() -> Board {
    Board {
        uid: "requests",
        title: "集约 · 申请与办理",
        description: "申请来得多快、办得多快、因为什么退回，建设停在哪一步",
        rows: vec![("申请", requests()), ("建设与操作", operations()), ("服务", service())],
    }
}

/// Median and the slow end.
fn quantiles(panel: Panel, series: &Series, wants: Wants, of: &str) -> Panel {
    panel
        .query(&format!("{of} 一半在此之内"), quantile(0.5, series, wants, &[], IN_BOARD))
        .query(&format!("{of} 九成五在此之内"), quantile(0.95, series, wants, &[], IN_BOARD))
}

fn requests() -> Vec<Panel> {
    let decided = Panel::new(Shape::Lines, "批复用时", Unit::Seconds, "从提交到批准或退回");
    let decided = quantiles(decided, &series::DECISION_SECONDS, &[], "批复");
    let built = Panel::new(Shape::Lines, "交付用时", Unit::Seconds, "从批准到交付");
    let built = quantiles(built, &series::DELIVERY_SECONDS, &[("outcome", Want::Is("delivered"))], "交付");
    vec![
        each(
            Panel::new(Shape::Lines, "申请的进展", Unit::PerSecond, "每秒进入各状态的申请"),
            words::REQUEST_STATES,
            |word| pace(&series::REQUESTS, &[("state", Want::Is(word))], &[], IN_BOARD),
        ),
        Panel::new(Shape::Stack, "手上的申请", Unit::Count, "还没有了结的申请")
            .query("待审批", total(&series::REQUESTS_OPEN, &[("state", Want::Is("submitted"))], &[]))
            .query("建设中", total(&series::REQUESTS_OPEN, &[("state", Want::Is("approved"))], &[]))
            .query("撤销中", total(&series::REQUESTS_OPEN, &[("state", Want::Is("cancelling"))], &[])),
        decided.third(),
        built.third(),
        Panel::new(Shape::Lines, "最久的等了", Unit::Seconds, "待审批的从提交算起，建设中的从批准算起")
            .query("待审批", total(&series::REQUEST_AGE, &[("state", Want::Is("submitted"))], &[]))
            .query("建设中", total(&series::REQUEST_AGE, &[("state", Want::Is("approved"))], &[]))
            .bounds(Above(259_200.0, 432_000.0))
            .third(),
        Panel::new(
            Shape::Bars,
            "因哪条规则不能受理",
            Unit::PerSecond,
            "最常拦下申请的十五条规则；规则的全文见 jiyue rules show",
        )
        .query("{{code}}", format!("topk(15, {})", pace(&series::VIOLATIONS, &[], &["code"], IN_BOARD)))
        .wide(),
    ]
}

fn operations() -> Vec<Panel> {
    let step = |q| quantile(q, &series::STEPS, &[("outcome", Want::Is("done"))], &["step"], IN_BOARD);
    let failed = times(&series::STEPS, &[("outcome", Want::Is("failed"))], &["step"], IN_BOARD);
    vec![
        Panel::new(Shape::Stack, "没有了结的操作", Unit::Count, "建设、停机等长任务，按种类与状态")
            .query("{{kind}} {{state}}", once(&series::OPERATIONS, &[])),
        Panel::new(Shape::Lines, "最久的操作", Unit::Seconds, "各种类里进行得最久的，从开始算起")
            .query("{{kind}}", once(&series::OPERATION_AGE, &[]))
            .bounds(Above(1800.0, 3600.0)),
        Panel::new(Shape::Lines, "各步用时", Unit::Seconds, "建设的每一步，九成五在此之内")
            .query("{{step}}", step(0.95))
            .third(),
        Panel::new(Shape::Lines, "各步失败", Unit::PerSecond, "建设的每一步每秒失败的次数；会自己重试")
            .query("{{step}}", failed)
            .third(),
        Panel::new(Shape::Lines, "办理的轮次", Unit::PerSecond, "办理长任务的轮次，办完的与中断的")
            .query("{{outcome}}", pace(&series::OPERATION_RUNS, &[], &["outcome"], IN_BOARD))
            .third(),
    ]
}

fn service() -> Vec<Panel> {
    let calls = Panel::new(Shape::Lines, "接口的快慢", Unit::Seconds, "从请求头到应答头");
    let writes = Panel::new(Shape::Lines, "写入的快慢", Unit::Seconds, "写入队列的一批到提交，含重试");
    vec![
        Panel::new(Shape::Lines, "调用", Unit::PerSecond, "每秒的调用，按应答的状态码")
            .query("{{status}}", pace(&series::HTTP_REQUESTS, &[], &["status"], IN_BOARD))
            .third(),
        quantiles(calls, &series::HTTP_SECONDS, &[], "接口").third(),
        quantiles(writes, &series::DATABASE_WRITES, &[("outcome", Want::Is("done"))], "写入").third(),
    ]
}
