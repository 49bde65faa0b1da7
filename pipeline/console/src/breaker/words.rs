//! The breaker's words, as pages say them.

use super::forms::{Disposition, HoldState, Point, ReleaseState, Scope, TripState};
use crate::language::{Text, text};

impl Point {
    /// For people.
    pub fn told(self) -> Text {
        match self {
            Point::Refund => text("refund", "退款"),
            Point::Settlement => text("settlement", "结算"),
            Point::CashOut => text("cash-out", "提现"),
        }
    }
}

impl TripState {
    /// For people.
    pub fn told(self) -> Text {
        match self {
            TripState::Proposed => text("proposed", "待确认"),
            TripState::InForce => text("in force", "生效中"),
            TripState::Declined => text("declined", "已否决"),
            TripState::Lapsed => text("lapsed", "未确认而失效"),
            TripState::Expired => text("expired", "已到期"),
            TripState::Released => text("released", "已解除"),
        }
    }
}

impl HoldState {
    /// For people.
    pub fn told(self) -> Text {
        match self {
            HoldState::Held => text("held", "已拦截"),
            HoldState::Resumed => text("resumed", "已放行"),
            HoldState::Rejected => text("rejected", "已拒绝"),
        }
    }
}

impl ReleaseState {
    /// For people.
    pub fn told(self) -> Text {
        match self {
            ReleaseState::Proposed => text("waits for a second person", "等待第二人确认"),
            ReleaseState::UnderWay => text("under way", "进行中"),
            ReleaseState::Done => text("done", "已完成"),
            ReleaseState::Declined => text("declined", "已否决"),
            ReleaseState::Lapsed => text("lapsed", "未确认而失效"),
        }
    }
}

impl Disposition {
    /// For people.
    pub fn told(self) -> Text {
        match self {
            Disposition::Resume => text("resume: let them go on", "放行：继续执行"),
            Disposition::Reject => text("reject: give them up", "拒绝：不再执行"),
        }
    }
}

impl Scope {
    /// What kind of scope it is, for people.
    pub fn told(&self) -> Text {
        match self {
            Scope::Order(_) => text("order", "订单"),
            Scope::Merchant(_) => text("merchant", "商户"),
            Scope::BusinessCode(_) => text("business code", "业务码"),
            Scope::All => text("everything", "全部"),
        }
    }
}
