//! Conditions of statements.

use super::super::change::Mistake;
use super::expression::{Comparison, Condition, Expression, Sort};
use super::parse::{Parser, mixed};
use super::token::Kind;

/// Conditions and expressions nested deeper are refused.
const MOST_NESTED: usize = 50;

impl Parser<'_> {
    pub(super) fn condition(&mut self) -> Result<Condition, Mistake> {
        let mut any = vec![self.conjunction()?];
        while self.word("OR") {
            any.push(self.conjunction()?);
        }
        Ok(match any.len() {
            1 => any.swap_remove(0),
            _ => Condition::Or(any),
        })
    }

    fn conjunction(&mut self) -> Result<Condition, Mistake> {
        let mut all = vec![self.negation()?];
        while self.word("AND") {
            all.push(self.negation()?);
        }
        Ok(match all.len() {
            1 => all.swap_remove(0),
            _ => Condition::And(all),
        })
    }

    fn negation(&mut self) -> Result<Condition, Mistake> {
        self.deeper(|parser| match parser.word("NOT") {
            true => Ok(Condition::Not(Box::new(parser.negation()?))),
            false => parser.predicate(),
        })
    }

    /// Counts how deep this is.
    pub(super) fn deeper<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, Mistake>,
    ) -> Result<T, Mistake> {
        if self.depth >= MOST_NESTED {
            return self.refuse(
                "an expression nested too deeply",
                "write it in several statements",
            );
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn predicate(&mut self) -> Result<Condition, Mistake> {
        // A parenthesis may hold a condition or a value: what is behind it tells.
        let begin = self.at;
        if self.peek() == &Kind::Sign("(") && !self.values_at.contains(&begin) {
            self.at += 1;
            let inner = self.condition();
            if let Ok(condition) = inner
                && self.eat(")")
                && !self.continues()
            {
                return Ok(condition);
            }
            self.at = begin;
            self.values_at.insert(begin);
        }
        let left = self.expression()?;
        let negated = self.word("NOT");
        if self.word("IN") {
            let list = self.list(&left)?;
            return Ok(not_if(negated, list));
        }
        if self.word("BETWEEN") {
            let low = self.expression()?;
            self.keyword("AND")?;
            let high = self.expression()?;
            let from = self.compared(Comparison::GreaterOrEqual, left.clone(), low)?;
            let to = self.compared(Comparison::LessOrEqual, left, high)?;
            return Ok(not_if(negated, Condition::And(vec![from, to])));
        }
        if negated {
            return self.refuse_here("behind NOT");
        }
        if self.word("IS") {
            let negated = self.word("NOT");
            self.keyword("NULL")?;
            return Ok(not_if(negated, Condition::IsNull(left)));
        }
        let signs = [
            ("=", Comparison::Equal),
            ("<>", Comparison::NotEqual),
            ("!=", Comparison::NotEqual),
            ("<=>", Comparison::NullSafe),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        for (sign, how) in signs {
            if self.eat(sign) {
                let right = self.expression()?;
                return self.compared(how, left, right);
            }
        }
        self.refuse_here("where a comparison should stand")
    }

    /// Whether an expression goes on here, so that a parenthesis before was a value.
    fn continues(&self) -> bool {
        match self.peek() {
            Kind::Sign(sign) => !matches!(*sign, ")" | "," | ";"),
            Kind::Word(word) => ["IN", "BETWEEN", "IS", "NOT"]
                .iter()
                .any(|known| word.eq_ignore_ascii_case(known)),
            _ => false,
        }
    }

    fn list(&mut self, left: &Expression) -> Result<Condition, Mistake> {
        if !self.eat("(") {
            return self.refuse_here("behind IN");
        }
        let mut list = Vec::new();
        let mut first = left.clone();
        loop {
            let value = self.expression()?;
            let Condition::Compare(_, converted, value) =
                self.compared(Comparison::Equal, first, value)?
            else {
                return self.refuse_here("in a list");
            };
            first = converted;
            list.push(value);
            if self.eat(")") {
                return Ok(Condition::In(first, list));
            }
            if !self.eat(",") {
                return self.refuse_here("in a list");
            }
        }
    }

    /// A comparison of two values of one sort.
    fn compared(
        &self,
        how: Comparison,
        left: Expression,
        right: Expression,
    ) -> Result<Condition, Mistake> {
        let table = self.current();
        let (left_sort, right_sort) = (left.sort, right.sort);
        let left = self.converted(left, right_sort, table);
        let right = self.converted(right, left_sort, table);
        let sort = match (left.sort, right.sort) {
            (Sort::Null, other) | (other, Sort::Null) => other,
            (one, other) if one == other => one,
            (one, other) => {
                return Err(mixed(
                    right.place,
                    format!("{} is compared with {}", one.said(), other.said()),
                    one,
                ));
            }
        };
        let by_order = !matches!(
            how,
            Comparison::Equal | Comparison::NotEqual | Comparison::NullSafe
        );
        if sort == Sort::Json || (sort == Sort::Text && by_order) {
            return Err(Mistake::new(
                right.place.to_string(),
                "texts are compared by their order, which depends on the column's collation",
                "compare them with =, or name the rows by their keys",
            ));
        }
        Ok(Condition::Compare(how, left, right))
    }
}

fn not_if(negated: bool, condition: Condition) -> Condition {
    match negated {
        true => Condition::Not(Box::new(condition)),
        false => condition,
    }
}
