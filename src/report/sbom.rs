//! The packages of an image as an SPDX 2.3 document (<https://spdx.github.io/spdx-spec/v2.3/>).

mod license;
mod purl;

use super::inventory::{Inventory, KeptPackage};
use crate::image_fs::FileTime;
use crate::pack::rfc3339;
use crate::packages::LanguagePackage;
use license::Licenses;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const IMAGE: &str = "SPDXRef-Image";
const UNKNOWN: &str = "NOASSERTION";

/// What the document is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// The image's name, or that of its tarball.
    pub name: String,
    /// SHA-256 of the root file system's tarball.
    pub layer_sha256: [u8; 32],
    /// The time of the document; the epoch where none is given, so that the same image gives
    /// the same document.
    pub created: Option<FileTime>,
}

/// The document: the image, and the packages of which it holds files. Its namespace is made of
/// its content.
pub fn sbom(described: &Described, inventory: &Inventory) -> Vec<u8> {
    let mut licenses = Licenses::default();
    let mut packages = vec![image(described, inventory)];
    for kept in &inventory.kept {
        packages.push(of_system(kept, inventory, &mut licenses));
    }
    for package in &inventory.languages {
        packages.push(of_language(package, &mut licenses));
    }
    for (index, package) in packages.iter_mut().enumerate().skip(1) {
        package["SPDXID"] = json!(format!("SPDXRef-Package-{index}"));
    }
    let mut relationships = vec![relationship(DOCUMENT, "DESCRIBES", IMAGE)];
    relationships.extend(
        (1..packages.len())
            .map(|index| relationship(IMAGE, "CONTAINS", &format!("SPDXRef-Package-{index}"))),
    );
    let created = rfc3339(described.created.unwrap_or_default());
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": described.name,
        "creationInfo": {
            "created": created.unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned()),
            "creators": [concat!("Tool: micropacker-", env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "relationships": relationships,
    });
    let extracted = licenses.extracted();
    if !extracted.is_empty() {
        document["hasExtractedLicensingInfos"] = json!(extracted);
    }
    let digest = hex(&Sha256::digest(document.to_string()));
    let namespace = format!("https://spdx.org/spdxdocs/micropacker-{digest}");
    document["documentNamespace"] = json!(namespace);
    let mut text = serde_json::to_vec_pretty(&document).unwrap_or_default();
    text.push(b'\n');
    text
}

fn image(described: &Described, inventory: &Inventory) -> Value {
    let mut package = package(&described.name, "", UNKNOWN);
    package["SPDXID"] = json!(IMAGE);
    package["primaryPackagePurpose"] = json!("CONTAINER");
    package["checksums"] = json!([{
        "algorithm": "SHA256",
        "checksumValue": hex(&described.layer_sha256),
    }]);
    if !inventory.distribution.name.is_empty() {
        package["comment"] = json!(format!("Made of {}", inventory.distribution.name));
    }
    package
}

fn of_system(kept: &KeptPackage, inventory: &Inventory, licenses: &mut Licenses) -> Value {
    let of = &kept.package;
    let mut package = package(&of.name, &of.version, &licenses.declared(&of.license));
    if !of.maintainer.is_empty() {
        package["supplier"] = json!(supplier(&of.maintainer));
    }
    if !of.source.is_empty() {
        let source = format!("built from {} {}", of.source, of.source_version);
        package["sourceInfo"] = json!(source.trim_end());
    }
    let purl = purl::of_system(of, &inventory.distribution);
    package["externalRefs"] = references(&purl);
    package
}

fn of_language(of: &LanguagePackage, licenses: &mut Licenses) -> Value {
    let mut package = package(&of.name, &of.version, &licenses.declared(&of.license));
    package["sourceInfo"] = json!(format!("told by {}", of.metadata));
    if let Some(purl) = purl::of_language(of) {
        package["externalRefs"] = references(&purl);
    }
    package
}

fn package(name: &str, version: &str, license: &str) -> Value {
    let mut package = json!({
        "name": name,
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": false,
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": license,
        "copyrightText": UNKNOWN,
    });
    if !version.is_empty() {
        package["versionInfo"] = json!(version);
    }
    package
}

/// `Organization: name (address)`; databases have `name <address>`, of persons and of groups.
fn supplier(maintainer: &str) -> String {
    let (name, address) = match maintainer.split_once('<') {
        Some((name, rest)) => (name.trim(), rest.trim_end().trim_end_matches('>')),
        None => (maintainer.trim(), ""),
    };
    match (name, address) {
        ("", "") => UNKNOWN.to_owned(),
        (name, "") => format!("Organization: {name}"),
        ("", address) => format!("Organization: {address}"),
        (name, address) => format!("Organization: {name} ({address})"),
    }
}

fn references(purl: &str) -> Value {
    json!([{
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": purl,
    }])
}

fn relationship(from: &str, kind: &str, to: &str) -> Value {
    json!({
        "spdxElementId": from,
        "relationshipType": kind,
        "relatedSpdxElement": to,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
