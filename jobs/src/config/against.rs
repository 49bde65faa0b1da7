use super::problem::{Problem, nearest, shorten};
use super::{Config, Source};

/// Whether every source of the schemas has an entry, and every entry is a source of the schemas. `names` are
/// those of the schemas.
pub fn check_against(config: &Config, names: &[&str]) -> Vec<Problem> {
    let has_entry = |name: &str| config.sources.iter().any(|source| source.name == name);
    let mut missing: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| !has_entry(name))
        .collect();
    missing.sort_unstable();
    missing.dedup();
    let mut problems = Vec::new();
    let unknown = |source: &&Source| !names.contains(&source.name.as_str());
    for source in config.sources.iter().filter(unknown) {
        let remedy = match nearest(&source.name, &missing) {
            // One mistake is told once: the name that was meant counts as named.
            Some(meant) => {
                missing.retain(|name| *name != meant);
                format!("did you mean `{meant}`?")
            }
            None if missing.is_empty() => {
                "remove the entry, or name it as `source` in a schema file".to_owned()
            }
            None => format!(
                "use one of those that have no entry yet: `{}`",
                missing.join("`, `")
            ),
        };
        let problem = format!(
            "no schema file names the source `{}`",
            shorten(&source.name)
        );
        problems.push(Problem::new(&config.file, source.line, problem, remedy));
    }
    problems.extend(missing.iter().map(|name| {
        let quoted = match name.contains('.') {
            true => format!("\"{name}\""),
            false => (*name).to_owned(),
        };
        let problem = format!("nothing says where the source `{name}` of the schemas is read");
        let remedy = format!("add [sources.{quoted}] with its `kind`: binlog, kafka or file");
        Problem::new(&config.file, 0, problem, remedy)
    }));
    problems
}
