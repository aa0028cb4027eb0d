//! Words of a Dockerfile's line: quotes and backslashes as a shell has them, nothing else of it.

/// Splits at blanks outside of quotes.
pub(super) fn words(text: &str) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            // Inside single quotes it is a character like any other.
            (None | Some('"'), '\\') => {
                let next = chars.next().ok_or("it ends in a backslash")?;
                let word = word.get_or_insert_default();
                // In double quotes it escapes only what would mean something there.
                if quote.is_some() && !matches!(next, '"' | '\\' | '$') {
                    word.push('\\');
                }
                word.push(next);
            }
            (None, c) if c.is_whitespace() => out.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if let Some(quote) = quote {
        return Err(format!("a quote {quote} is not closed"));
    }
    out.extend(word);
    Ok(out)
}

/// `NAME=VALUE …`, or `NAME VALUE` with all of the rest as the value.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let first = text.split_whitespace().next().unwrap_or_default();
    let pairs = if first.contains('=') {
        let pair = |word: String| {
            let split =
                word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
            split.ok_or_else(|| format!("{word:?} is not NAME=VALUE"))
        };
        words(text)?.into_iter().map(pair).collect::<Result<Vec<_>, _>>()?
    } else {
        let Some((name, value)) = text.split_once(char::is_whitespace) else {
            return Err(format!("{text:?} is not NAME=VALUE"));
        };
        vec![(name.to_owned(), value.trim().to_owned())]
    };
    if pairs.iter().any(|(name, _)| name.is_empty()) {
        return Err("a name is missing before =".to_owned());
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_as_a_shell_does() {
        for (text, expected) in [
            ("a b", &["a", "b"][..]),
            (r#"a"b c"d '' "#, &["ab cd", ""]),
            (r"a\ b 'c\d'", &["a b", r"c\d"]),
            (r#""a\"b\n""#, &[r#"a"b\n"#]),
            ("  ", &[]),
        ] {
            assert_eq!(words(text).unwrap(), expected, "{text}");
        }
        for bad in ["'a", "\"a", "a\\"] {
            assert!(words(bad).is_err(), "{bad}");
        }
    }
}
