//! Feasibility reports as offices hand them in, made from a seed: what they mean, how they are written, and how well the
//! broker reads and judges them. The writer shares nothing with the reader.

mod amount;
mod application;
pub mod generate;
mod layout;
pub mod model;
pub mod odf;
pub mod paper;
mod prose;
pub mod render;
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
        let mut files = vec![];
        for n in 0..std::env::var("N").map_or(10, |s| s.parse().unwrap()) {
            let r = generate::sound(&mut dice, &format!("s{n}"), generate::Wish::default());
            let f = folder.join(format!("s{n}.fodt"));
            std::fs::write(&f, odf::text(&paper::nodes(&r))).unwrap();
            files.push(f);
        }
        let t = std::time::Instant::now();
        render::all(&folder, &files, render::Format::Docx);
        eprintln!("{:?}", t.elapsed());
    }
}
