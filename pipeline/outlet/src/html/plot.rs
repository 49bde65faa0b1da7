//! One bar for each past run, as inline SVG. Places are whole numbers: amounts stay exact.

use std::io;

use centinel_model::Amount;

use super::page::Page;

const WIDTH: u64 = 640;
const HEIGHT: u64 = 120;
/// Room for a bar, at most.
const WIDEST: u64 = 24;

/// One bar.
pub(super) struct Bar {
    /// What it stands for, with its value in words.
    pub told: String,
    /// How high it is; none where that is not known.
    pub value: Option<Amount>,
    /// The class of its colour.
    pub class: &'static str,
}

/// Draws bars from left to right, scaled to the highest.
pub(super) fn plot(page: &mut Page<'_>, title: &str, bars: &[Bar]) -> io::Result<()> {
    let units: Vec<Option<u128>> = bars.iter().map(|bar| bar.value.map(units)).collect();
    let most = units.iter().flatten().copied().max().unwrap_or(0);
    let step = (WIDTH / bars.len().max(1) as u64).clamp(1, WIDEST);
    page.begin("figure", &[])?;
    page.element("figcaption", &[], title)?;
    let view = format!("0 0 {WIDTH} {HEIGHT}");
    let (role, label) = ("img", title);
    page.begin(
        "svg",
        &[("viewBox", &view), ("role", role), ("aria-label", label)],
    )?;
    for (index, (bar, units)) in bars.iter().zip(units).enumerate() {
        let (height, class) = match units {
            Some(units) => (height(units, most), bar.class),
            None => (HEIGHT, "unknown"),
        };
        page.begin("g", &[])?;
        page.element("title", &[], &bar.told)?;
        let (left, top) = (index as u64 * step, HEIGHT - height);
        let width = step.saturating_sub(2).max(1);
        page.begin(
            "rect",
            &[
                ("x", &left.to_string()),
                ("y", &top.to_string()),
                ("width", &width.to_string()),
                ("height", &height.to_string()),
                ("class", class),
            ],
        )?;
        page.end()?;
        page.end()?;
    }
    page.end()?;
    page.end()
}

/// Comparable numbers: all with the same digits behind the point.
fn units(amount: Amount) -> u128 {
    const DIGITS: u8 = 8;
    let amount = amount.normalised();
    let scale = u32::from(DIGITS.saturating_sub(amount.scale));
    let units = amount.units.unsigned_abs();
    units.saturating_mul(10u128.saturating_pow(scale))
}

/// At least a line where there is something at all.
fn height(units: u128, most: u128) -> u64 {
    if units == 0 || most == 0 {
        return 1;
    }
    // The quotient first where the product would not fit.
    let share = match units.checked_mul(u128::from(HEIGHT)) {
        Some(product) => product / most,
        None => units / (most / u128::from(HEIGHT)).max(1),
    };
    u64::try_from(share).unwrap_or(HEIGHT).clamp(2, HEIGHT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_their_amounts() {
        let of = |text: &str| units(Amount::exact(text).expect("an amount"));
        let most = of("200");
        assert_eq!(height(of("200.00"), most), HEIGHT);
        assert_eq!(height(of("100"), most), HEIGHT / 2);
        assert_eq!(height(of("0.01"), most), 2, "little is still seen");
        assert_eq!(height(0, most), 1);
        assert_eq!(height(0, 0), 1);
        let huge = of(&"9".repeat(38));
        assert_eq!(height(huge, huge), HEIGHT);
    }
}
