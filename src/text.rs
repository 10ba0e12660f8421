//! placeholder until merge
pub fn plain_line(text: &str, _max: usize) -> Result<(), String> {
    if text.is_empty() { Err("empty".into()) } else { Ok(()) }
}
