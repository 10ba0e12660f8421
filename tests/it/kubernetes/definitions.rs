//! The definitions in `crd/` are what the program prints.

use jiyue::{catalogue::Catalogue, k8s::crd};
use std::{fs, path::PathBuf};

/// `INSTA_UPDATE=always` writes them anew, as it does the goldens.
#[test]
fn the_definitions_are_kept_beside_the_source() {
    let all = crd::definitions(&Catalogue::embedded().unwrap());
    assert_eq!(all.len(), 3);
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("crd");
    for definition in &all {
        let path = folder.join(format!("{}.yaml", definition["metadata"]["name"].as_str().unwrap()));
        let text = crd::to_yaml(std::slice::from_ref(definition)).unwrap();
        if std::env::var("INSTA_UPDATE").is_ok_and(|wish| wish == "always") {
            fs::write(&path, &text).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == text, "{} is not what `jiyue crd` says; INSTA_UPDATE=always writes it", path.display());
        // What is printed is what is meant.
        assert_eq!(serde_saphyr::from_str::<serde_json::Value>(&text).unwrap(), *definition);
    }
    // Nothing else is there but what kustomize reads, and it names them all.
    let mut names: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "kustomization.yaml");
    names.sort();
    let text = fs::read_to_string(folder.join("kustomization.yaml")).unwrap();
    let listed: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(listed["resources"], serde_json::json!(names));
    assert_eq!(names.len(), all.len());
}
