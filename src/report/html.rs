//! The report as one page for a browser: nothing is loaded from anywhere, all data is in it.

use super::model::{Item, PackageItem, PortItem, ProcessItem, Report};
use super::words;
use crate::image_path::{Escaped, ImagePath};
use crate::manifest::Reason;
use serde_json::{Value, json};

const PAGE: &str = include_str!("html/page.html");

/// A libc has thousands of reasons: so many are enough to find a chain.
const REASONS: usize = 8;

/// The whole page.
pub fn page(report: &Report) -> String {
    let data = data(report).to_string();
    // No text may end the element that holds it, or begin a comment in it.
    let data = data.replace('<', "\\u003c");
    PAGE.replace("@DATA@", &data)
}

fn data(report: &Report) -> Value {
    let image = &report.image;
    let command = report.command.as_ref().map(|command| {
        let words = command.argv.iter().map(|word| Escaped(&word.0).to_string());
        words.collect::<Vec<_>>().join(" ")
    });
    let entries: Vec<Value> = report.entries.iter().map(entry).collect();
    let excluded = report.excluded.iter();
    let excluded = excluded.map(|left| json!([shown(&left.path), words::exclusion(&left.why)]));
    let losses = report.losses.iter();
    json!({
        "tool": report.tool,
        "name": image.name,
        "command": command,
        "engine": report.engine,
        "milliseconds": report.milliseconds,
        "distribution": image.distribution,
        "bytes": image.bytes,
        "packagesBefore": image.packages_before,
        "bytesBefore": image.bytes_before,
        "packages": report.packages.iter().map(package).collect::<Vec<_>>(),
        "dropped": report.packages_dropped.iter().map(package).collect::<Vec<_>>(),
        "languages": report.languages.len(),
        "processes": report.recording.processes.iter().map(process).collect::<Vec<_>>(),
        "ports": report.recording.ports.iter().map(port).collect::<Vec<_>>(),
        "entries": entries,
        "excluded": excluded.collect::<Vec<_>>(),
        "losses": losses.map(|loss| json!([loss.what, loss.count])).collect::<Vec<_>>(),
    })
}

fn package(package: &PackageItem) -> Value {
    let PackageItem {
        name,
        version,
        files,
        bytes,
        bytes_before,
        ..
    } = package;
    json!([name, version, files, bytes, bytes_before])
}

fn process(item: &ProcessItem) -> Value {
    let programs = item.process.programs.iter().map(shown);
    json!([item.pid, item.process.parent, programs.collect::<Vec<_>>()])
}

fn port(item: &PortItem) -> Value {
    let program = item.first.program.as_ref().map(shown);
    json!([item.endpoint.to_string(), program, item.first.pid])
}

fn entry(item: &Item) -> Value {
    let reasons: Vec<Value> = item.reasons.iter().take(REASONS).map(reason).collect();
    let kind = serde_json::to_value(item.kind).unwrap_or_default();
    let package = item.package.map_or(-1, |index| index as i64);
    json!([
        shown(&item.path),
        kind,
        item.size,
        package,
        reasons,
        item.reasons.len()
    ])
}

fn reason(reason: &Reason) -> Value {
    let of = reason.of().map(shown);
    match reason {
        Reason::Used { first, .. } => json!([
            words::kind(reason),
            words::reason(reason),
            of,
            first.program.as_ref().map(shown),
            first.pid
        ]),
        _ => json!([words::kind(reason), words::reason(reason), of]),
    }
}

fn shown(path: &ImagePath) -> String {
    path.to_string()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{item, opened, report};
    use super::*;
    use crate::recording::Loss;

    #[test]
    fn no_name_can_end_the_data_and_nothing_is_loaded_from_elsewhere() {
        let mut report = report(vec![item("/a</script><!--", &[opened()])], &[]);
        report.losses.push(Loss {
            what: "</SCRIPT>".to_owned(),
            count: 1,
        });
        let page = page(&report);
        let (_, data) = page.split_once("id=\"data\">").expect("data");
        let (data, _) = data.split_once("</script>").expect("its end");
        let read: Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(read["entries"][0][0], "/a</script><!--");
        assert_eq!(read["losses"][0][0], "</SCRIPT>");
        assert!(!page.contains("http://") && !page.contains("https://"));
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn a_thousand_reasons_are_counted_and_some_are_shown() {
        let needed = |index| Reason::NeededBy(super::super::testing::path(&format!("/{index}")));
        let reasons: Vec<Reason> = (0..1000).map(needed).collect();
        let value = entry(&item("/libc", &reasons));
        assert_eq!(value[4].as_array().map(Vec::len), Some(REASONS));
        assert_eq!(value[5], 1000);
        assert_eq!(value[4][0][2], "/0");
    }
}
