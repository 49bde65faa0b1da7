/// What money a row stands for, and whose it is: lets a repair say what it moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Index of the money column.
    pub amount: usize,
    /// Index of the column that names the account.
    pub account: Option<usize>,
    /// Index of the column that names the merchant.
    pub merchant: Option<usize>,
    /// What gives the amount its sign, where its own does not.
    pub direction: Option<Direction>,
    /// The states in which the row's money counts; empty for all.
    pub states: Vec<String>,
}

/// The column whose value says whether a row's amount goes into its account or out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Direction {
    /// Its index.
    pub column: usize,
    /// Values with which the amount is added.
    pub plus: Vec<String>,
    /// Values with which it is taken away.
    pub minus: Vec<String>,
}
