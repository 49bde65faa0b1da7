//! Who may do what.

use serde::Deserialize;

/// What a person is to the breaker, and so here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks, and sees identifiers and names masked.
    Viewer,
    /// Also acts on findings, trips, and proposes releases.
    Operator,
    /// Also confirms and declines.
    Approver,
    /// Looks, and manages the breaker's accounts; acts on nothing.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 4] = [Role::Viewer, Role::Operator, Role::Approver, Role::Admin];

    /// The word by which the breaker names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Approver => "approver",
            Role::Admin => "admin",
        }
    }
}

/// What a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nobody in particular.
    Nothing,
    /// Somebody who is signed in.
    Look,
    /// Somebody who may see identifiers and names as they are.
    Plain,
    /// Somebody who may act: an operator or an approver.
    Act,
    /// An approver.
    Approve,
}

impl Needs {
    /// Whether this role may.
    pub fn allow(self, role: Role) -> bool {
        match self {
            Needs::Nothing | Needs::Look => true,
            Needs::Plain => role != Role::Viewer,
            Needs::Act => matches!(role, Role::Operator | Role::Approver),
            Needs::Approve => role == Role::Approver,
        }
    }
}
