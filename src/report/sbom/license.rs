//! Licences as SPDX expressions (SPDX 2.3, annex D). What is none is quoted in the document
//! under a name of its own, as the specification wants it.

use serde_json::{Value, json};

/// Identifiers of the SPDX list that packages use. The list has hundreds; one that is missing
/// here is quoted, which loses nothing.
const KNOWN: &str = "0BSD AFL-2.1 AGPL-3.0-only AGPL-3.0-or-later Apache-1.1 Apache-2.0 \
    Artistic-1.0-Perl Artistic-2.0 Beerware BSD-1-Clause BSD-2-Clause BSD-3-Clause BSD-4-Clause \
    BSD-4-Clause-UC BSL-1.0 bzip2-1.0.6 CC-BY-3.0 CC-BY-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC0-1.0 \
    CDDL-1.0 CDDL-1.1 CPL-1.0 curl EPL-1.0 EPL-2.0 EUPL-1.2 FSFAP FSFUL FSFULLR FTL \
    GFDL-1.3-only GFDL-1.3-or-later GPL-1.0-only GPL-1.0-or-later GPL-2.0-only GPL-2.0-or-later \
    GPL-3.0-only GPL-3.0-or-later HPND HPND-sell-variant ICU IJG ISC JSON LGPL-2.0-only \
    LGPL-2.0-or-later LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0-only LGPL-3.0-or-later \
    libpng-2.0 Libpng libtiff LPPL-1.3c MIT MIT-0 MIT-CMU MPL-1.0 MPL-1.1 MPL-2.0 \
    MPL-2.0-no-copyleft-exception NCSA NTP OFL-1.1 OLDAP-2.8 OpenSSL PHP-3.01 PostgreSQL PSF-2.0 \
    Python-2.0 Python-2.0.1 Ruby Sendmail SISSL Sleepycat SMLNJ SunPro TCL Unicode-3.0 \
    Unicode-DFS-2015 Unicode-DFS-2016 Unicode-TOU Unlicense UPL-1.0 Vim W3C WTFPL X11 Xnet \
    Zend-2.0 Zlib ZPL-2.1";

const EXCEPTIONS: &str = "Autoconf-exception-2.0 Autoconf-exception-3.0 \
    Bison-exception-2.2 Classpath-exception-2.0 Font-exception-2.0 GCC-exception-2.0 \
    GCC-exception-3.1 Libtool-exception LLVM-exception OCaml-LGPL-linking-exception \
    OpenJDK-assembly-exception-1.0 openvpn-openssl-exception Qwt-exception-1.0 \
    u-boot-exception-2.0 Universal-FOSS-exception-1.0 x11vnc-openssl-exception";

/// The licences of a document that are no SPDX expressions.
#[derive(Debug, Default)]
pub(super) struct Licenses {
    quoted: Vec<String>,
}

impl Licenses {
    /// What `licenseDeclared` says.
    pub(super) fn declared(&mut self, license: &str) -> String {
        let license = license.split_whitespace().collect::<Vec<_>>().join(" ");
        if license.is_empty() {
            return super::UNKNOWN.to_owned();
        }
        if is_expression(&license) {
            return license;
        }
        let known = self.quoted.iter().position(|quoted| *quoted == license);
        let index = known.unwrap_or_else(|| {
            self.quoted.push(license);
            self.quoted.len() - 1
        });
        reference(index)
    }

    /// `hasExtractedLicensingInfos`.
    pub(super) fn extracted(&self) -> Vec<Value> {
        let quoted = self.quoted.iter().enumerate();
        quoted
            .map(|(index, text)| {
                json!({
                    "licenseId": reference(index),
                    "name": text,
                    "extractedText": text,
                })
            })
            .collect()
    }
}

fn reference(index: usize) -> String {
    format!("LicenseRef-micropacker-{}", index + 1)
}

/// Whether it is `term`, or terms with AND and OR between them, in balanced parentheses.
fn is_expression(text: &str) -> bool {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let mut depth = 0;
    let mut wants_term = true;
    let mut words = spaced.split_whitespace().peekable();
    while let Some(word) = words.next() {
        match word {
            "(" if wants_term => depth += 1,
            ")" if !wants_term && depth > 0 => depth -= 1,
            "AND" | "OR" if !wants_term => wants_term = true,
            term if wants_term && KNOWN.split_whitespace().any(|known| known == term) => {
                wants_term = false;
                if words.next_if_eq(&"WITH").is_some() {
                    let exception = words.next().unwrap_or_default();
                    if !EXCEPTIONS
                        .split_whitespace()
                        .any(|known| known == exception)
                    {
                        return false;
                    }
                }
            }
            _ => return false,
        }
    }
    depth == 0 && !wants_term
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_stay_and_anything_else_is_quoted_once() {
        let mut licenses = Licenses::default();
        for expression in [
            "MIT",
            "MIT AND GPL-2.0-or-later",
            "(MIT OR (Apache-2.0 AND Zlib)) AND ISC",
            "GPL-3.0-or-later WITH GCC-exception-3.1 AND MIT",
        ] {
            assert_eq!(licenses.declared(expression), expression);
        }
        assert_eq!(licenses.declared(""), "NOASSERTION");
        let others = [
            "GPLv2+",
            "MIT AND",
            "(MIT",
            "MIT)",
            "MIT MIT",
            "AND MIT",
            "()",
            "MIT WITH x",
        ];
        for (index, other) in others.iter().enumerate() {
            assert_eq!(licenses.declared(other), reference(index), "{other}");
        }
        assert_eq!(licenses.declared("  GPLv2+ "), reference(0));
        assert_eq!(licenses.extracted().len(), others.len());
        assert_eq!(licenses.extracted()[0]["extractedText"], "GPLv2+");
    }
}
