//! `lakebolt sources`: lists the shipped sources and the user's own.

use plans::spec::Source;
use serde_json::json;

use crate::cli::SourcesArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::output;
use crate::settings::OutputFormat;
use crate::sources::SourceIndex;
use crate::table::Table;

/// One line of the list.
struct Listed {
    source: Source,
    /// `shipped`, or the path of the user's own source.
    from: String,
}

pub(super) fn run(args: &SourcesArgs, context: &Context) -> Result<ExitCode, Failure> {
    let source_index = SourceIndex {
        own: context.config(args.sources.config.as_deref())?,
        ocsf: context.ocsf(args.sources.ocsf.as_deref()),
    };
    let mut listed = own(&source_index)?;
    for shipped in plans::sources::list() {
        let source = shipped.load(&source_index.ocsf)?.source;
        listed.push(Listed {
            source,
            from: "shipped".to_owned(),
        });
    }
    match context.format(args.format) {
        OutputFormat::Human => output::print(&human(&listed))?,
        OutputFormat::Json => output::print_json(&as_json(&listed))?,
    }
    Ok(ExitCode::Done)
}

fn own(source_index: &SourceIndex) -> Result<Vec<Listed>, Failure> {
    let mut listed = Vec::new();
    for path in source_index.own_sources()? {
        let loaded = plans::dialects::load(&path, &source_index.ocsf)?;
        listed.push(Listed {
            source: loaded.source,
            from: path.display().to_string(),
        });
    }
    Ok(listed)
}

fn human(listed: &[Listed]) -> String {
    let mut table = Table::new(&["source", "format", "classes", "aliases", "from"]);
    for Listed { source, from } in listed {
        table.row([
            source.name.clone(),
            source.format.name.clone(),
            Vec::from_iter(source.classes()).join(", "),
            source.aliases.join(", "),
            from.clone(),
        ]);
    }
    table.render()
}

fn as_json(listed: &[Listed]) -> serde_json::Value {
    let one = |Listed { source, from }: &Listed| {
        json!({
            "source": source.name,
            "format": source.format.name,
            "classes": source.classes(),
            "aliases": source.aliases,
            "from": from,
        })
    };
    let sources: Vec<_> = listed.iter().map(one).collect();
    json!({ "schema_version": 1, "sources": sources })
}
