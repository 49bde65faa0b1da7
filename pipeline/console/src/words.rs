//! Words that several pages share.

use centinel_findings::{Handling, What};
use centinel_model::{CheckpointVerdict, Severity, Verdict};

use crate::language::{Text, text};

pub fn severity(severity: Severity) -> Text {
    match severity {
        Severity::Info => text("info", "提示"),
        Severity::Warn => text("warning", "警告"),
        Severity::Error => text("error", "错误"),
        Severity::Critical => text("critical", "严重"),
    }
}

/// All severities, the worst first.
pub const SEVERITIES: [Severity; 4] = [
    Severity::Critical,
    Severity::Error,
    Severity::Warn,
    Severity::Info,
];

pub fn verdict(verdict: Verdict) -> Text {
    match verdict {
        Verdict::Suspected => text("suspected", "疑似"),
        Verdict::Confirmed => text("confirmed", "已确认"),
        Verdict::Undetermined => text("undetermined", "无法判定"),
        Verdict::Cleared => text("cleared", "已排除"),
        Verdict::Recovered => text("recovered", "已恢复"),
        Verdict::RuleChanged => text("rule changed", "规则已变更"),
    }
}

pub fn handling(handling: Handling) -> Text {
    match handling {
        Handling::New => text("new", "未处理"),
        Handling::Acknowledged => text("acknowledged", "已知悉"),
        Handling::Resolved => text("resolved", "已解决"),
        Handling::FalseAlarm => text("false alarm", "误报"),
    }
}

pub fn checkpoint(verdict: CheckpointVerdict) -> Text {
    match verdict {
        CheckpointVerdict::Passed => text("passed", "通过"),
        CheckpointVerdict::Undetermined => text("undetermined", "无法判定"),
        CheckpointVerdict::Violated => text("violated", "违反"),
    }
}

/// What happened, as one reads it in a history.
pub fn what(what: &What) -> Text {
    match what {
        What::Told { .. } => text("Detection says", "检测结论"),
        What::Acknowledged { .. } => text("Acknowledged", "知悉"),
        What::Resolved { .. } => text("Resolved", "解决"),
        What::FalseAlarm { .. } => text("Called a false alarm", "标记为误报"),
        What::Reopened { .. } => text("Open again", "重新打开"),
        What::Worse { .. } => text("Worse than before", "情况恶化"),
        What::Assigned { .. } => text("Assigned", "指派"),
        What::Note { .. } => text("Note", "备注"),
    }
}
