//! `jiyue request …`, as types.

use super::{
    IdArg, ListArgs, ShowArgs, WaitArg, forms,
    language::say,
    parsers::{name, provider},
};
use crate::{labels::ProviderWish, request::form::label};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum RequestCommand {
    /// 检查申请，列出所有不符合之处，不写入；没有令牌时在本机检查
    #[command(after_help = "例：
  jiyue request check 可行性研究报告.docx
  jiyue request check 申请表.xlsx --task-book 相信任〔2026〕17号 --ssh-key ~/.ssh/id_ed25519.pub
  jiyue request check block.yaml
  cat block.json | jiyue request check -

没有令牌（或加 --offline）时不连接服务：除任务书与控制指标、域名占用、重复申请外的规则都会检查。")]
    Check {
        #[command(flatten)]
        form: FormArg,
        /// 只在本机检查，不连接服务
        #[arg(long)]
        offline: bool,
        /// 本机检查用哪个地区的规则：xiangcheng、suzhou-new-district 或规则文件
        #[arg(long, value_name = "ID|FILE", default_value = "xiangcheng", hide_default_value = true)]
        profile: String,
    },
    /// 提交申请：每组虚拟机成为一份申请，要么全部收下，要么一份也不收
    #[command(after_help = "例：
  jiyue request submit 可行性研究报告.docx --task-book 相信任〔2026〕17号 --ssh-key ~/.ssh/id_ed25519.pub
  jiyue request submit 申请表.xlsx --set 网络区域=政务外网
  jiyue request submit block.yaml")]
    Submit(FormArg),
    /// 取回申请的原件，与提交时一字节不差
    #[command(after_help = "例：\n  jiyue request original ID --to 原件.docx")]
    Original {
        #[command(flatten)]
        target: IdArg,
        /// 存到哪个文件；已有的文件不覆盖
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// 批准：占额度、占容量，开始建设；可以一次几份，各自决定
    #[command(after_help = "例：
  jiyue request approve ID --wait
  jiyue request approve ID --comment 同意
  jiyue request approve ID ID ID --wait

几份一起批时列出每一份的结果。有没批成的：都是与现状冲突，退出码 4；否则 1。")]
    Approve {
        /// 申请编号
        #[arg(value_name = "ID", required = true, value_parser = name)]
        ids: Vec<String>,
        /// 审批意见
        #[arg(long)]
        comment: Option<String>,
        #[command(flatten)]
        wait: WaitArg,
    },
    /// 退回给申请人修改；可以一次几份
    #[command(after_help = "例：\n  jiyue request return ID --reason '内存超出实际需要，请按测算表修改'")]
    Return {
        /// 申请编号
        #[arg(value_name = "ID", required = true, value_parser = name)]
        ids: Vec<String>,
        /// 退回理由，申请人会看到
        #[arg(long)]
        reason: String,
    },
    /// 取消申请；已在建设的先撤下，额度与容量全部归还
    #[command(after_help = "例：\n  jiyue request cancel ID --reason 不再需要\n  jiyue request cancel ID --wait")]
    Cancel {
        #[command(flatten)]
        target: IdArg,
        /// 取消理由
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        wait: WaitArg,
    },
    /// 列出申请
    #[command(after_help = "例：
  jiyue request list --state submitted
  jiyue request list --task-book 相信任〔2026〕17号 --sort created_at
  jiyue request approve $(jiyue request list --state submitted -o name)")]
    List {
        /// 只看某个状态，如 submitted、approved、returned
        #[arg(long)]
        state: Option<String>,
        /// 只看某份任务书的
        #[arg(long, value_name = "NUMBER")]
        task_book: Option<String>,
        /// 只看某个建设单位的
        #[arg(long, value_name = "CODE", value_parser = name)]
        department: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// 查看一份申请
    #[command(after_help = "例：\n  jiyue request show ID\n  jiyue request show ID --watch")]
    Show(ShowArgs),
}

/// A request as a file, and what the file lacks.
#[derive(Debug, Args)]
pub struct FormArg {
    /// 申请文件：Word（.docx）、Excel（.xlsx）、CSV、YAML 或 JSON；- 为标准输入（YAML 或 JSON）
    pub file: PathBuf,
    /// 任务书编号（文件里没有写时）
    #[arg(long, value_name = "NUMBER")]
    pub task_book: Option<String>,
    /// SSH 公钥文件，可重复
    #[arg(long = "ssh-key", value_name = "FILE")]
    pub ssh_keys: Vec<PathBuf>,
    /// 运维单位名称
    #[arg(long, value_name = "NAME", requires = "om_contact")]
    pub om_unit: Option<String>,
    /// 运维单位联系方式
    #[arg(long, value_name = "TEXT", requires = "om_unit")]
    pub om_contact: Option<String>,
    /// 落位要求（文件里没有写时）：any（不限，默认）、libvirt（宿主机）、kubevirt（集群）
    #[arg(long, value_parser = provider)]
    pub provider: Option<ProviderWish>,
    /// 补充文件里没有的字段，可重复，如 --set 网络区域=政务外网
    #[arg(long = "set", value_name = "FIELD=VALUE", value_parser = pair)]
    pub set: Vec<(String, String)>,
}

impl FormArg {
    /// The file goes as it is; otherwise it is read here and sent as JSON.
    pub(super) fn goes_as_file(&self) -> bool {
        forms::is_form(&self.file)
            || self.task_book.is_some()
            || self.om_unit.is_some()
            || self.provider.is_some()
            || !self.ssh_keys.is_empty()
            || !self.set.is_empty()
    }
}

/// `field=value`, by the field's English name or the form's own word.
fn pair(s: &str) -> Result<(String, String), String> {
    let (key, value) = s.split_once('=').ok_or_else(|| say!("应写成 字段=值"))?;
    let name = label::field(key).ok_or_else(|| say!("不认识字段“{key}”", key = key.trim()))?;
    Ok((name.to_owned(), value.trim().to_owned()))
}
