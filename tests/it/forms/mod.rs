//! Feasibility reports as offices hand them in, made from a seed: what they mean, how they are written, and how well the
//! broker reads and judges them. The writer shares nothing with the reader.

mod amount;
mod application;
pub mod files;
pub mod generate;
mod layout;
pub mod model;
pub mod odf;
pub mod paper;
mod prose;
pub mod render;
mod resave;
pub mod tree;

#[cfg(test)]
mod probe {
    use super::*;
    use crate::support::Dice;
    #[test]
    fn probe() {
        let mut dice = Dice::new(std::env::var("SEED").map_or(1, |s| s.parse().unwrap()));
        let folder = std::path::PathBuf::from("/tmp/probe");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let mut all = vec![];
        for n in 0..30 {
            let kind = match n % 3 { 0 => files::Kind::Docx, 1 => files::Kind::Xlsx, _ => files::Kind::Csv };
            let mut r = generate::sound(&mut dice, &format!("s{n}"), generate::Wish { sheet: n % 3 != 0, ..Default::default() });
            r.style.resaved = true;
            all.push((r, kind));
        }
        let t = std::time::Instant::now();
        files::write(&folder, &all.iter().map(|(r, k)| (r, *k)).collect::<Vec<_>>());
        eprintln!("{:?}", t.elapsed());
    }
}
