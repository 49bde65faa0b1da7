use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Name, Request};

/// What a trip covers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One order.
    Order(Name),
    /// All orders of a merchant.
    Merchant(Name),
    /// All orders of a business code.
    BusinessCode(Name),
    /// Everything.
    All,
}

/// How wide a scope is, from the narrowest to the widest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeKind {
    /// One order.
    Order,
    /// A merchant.
    Merchant,
    /// A business code.
    BusinessCode,
    /// Everything.
    All,
}

impl Scope {
    /// How wide it is.
    pub fn kind(&self) -> ScopeKind {
        match self {
            Scope::Order(_) => ScopeKind::Order,
            Scope::Merchant(_) => ScopeKind::Merchant,
            Scope::BusinessCode(_) => ScopeKind::BusinessCode,
            Scope::All => ScopeKind::All,
        }
    }

    /// Whether a request lies in it.
    pub fn covers(&self, request: &Request) -> bool {
        match self {
            Scope::Order(order) => *order == request.order_no,
            Scope::Merchant(merchant) => *merchant == request.merchant_no,
            Scope::BusinessCode(code) => *code == request.business_code,
            Scope::All => true,
        }
    }
}

impl fmt::Display for ScopeKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            ScopeKind::Order => "order",
            ScopeKind::Merchant => "merchant",
            ScopeKind::BusinessCode => "business code",
            ScopeKind::All => "all",
        })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Order(name) | Scope::Merchant(name) | Scope::BusinessCode(name) => {
                write!(out, "{} {name}", self.kind())
            }
            Scope::All => write!(out, "all"),
        }
    }
}
