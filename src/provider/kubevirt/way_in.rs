//! The way into a cluster: a kubeconfig, judged at the start. Both who builds on clusters and who takes requests from one
//! come in by such a file.

use crate::secret::open_to_others;
use kube::config::{AuthInfo, Kubeconfig};
use std::{fs, path::Path};

/// What is wrong with the file and the mend, without a byte of what is in it.
pub fn fault(file: &Path) -> Option<(String, String)> {
    let shown = file.display();
    let metadata = match fs::metadata(file) {
        Err(error) => return Some((format!("{shown} 打不开（{error}）"), "检查路径与权限".to_owned())),
        Ok(metadata) => metadata,
    };
    if let Some(mode) = open_to_others(&metadata) {
        return Some((format!("{shown} 的权限是 {mode:o}，别人也能读"), format!("chmod 600 {shown}")));
    }
    let Ok(read) = Kubeconfig::read_from(file) else {
        return Some((format!("{shown} 不是 kubeconfig"), "放 kubectl 能用的那种文件".to_owned()));
    };
    let calls = |info: &AuthInfo| info.exec.is_some() || info.auth_provider.is_some();
    if read.auth_infos.iter().filter_map(|named| named.auth_info.as_ref()).any(calls) {
        let fault = format!("{shown} 里要调用别的程序登录（exec、auth-provider）");
        return Some((fault, "改用服务账号的令牌或客户端证书".to_owned()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_way_in_is_its_owner_s_alone_and_calls_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let judge = |name: &str, text: &str, mode| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            fault(&path).map(|(fault, mend)| format!("{fault}；{mend}")).unwrap_or_default()
        };
        let config = |user: &str| {
            format!("apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\nusers:\n- name: u\n  user: {user}\n")
        };
        assert_eq!(judge("good", &config("{token: s3cret}"), 0o600), "");
        for mode in [0o644, 0o660, 0o604] {
            let open = judge("open", &config("{token: s3cret}"), mode);
            assert!(
                open.contains(&format!("{mode:o}")) && open.contains("chmod 600") && !open.contains("s3cret"),
                "{open}"
            );
        }
        for call in ["exec: {command: /bin/s3cret, apiVersion: v1}", "auth-provider: {name: s3cret, config: {}}"] {
            let called = judge("exec", &config(&format!("{{{call}}}")), 0o600);
            assert!(called.contains("exec") && !called.contains("s3cret"), "{called}");
        }
        let odd = judge("odd", "s3cret: [", 0o600);
        assert!(odd.contains("不是 kubeconfig") && !odd.contains("s3cret"), "{odd}");
        assert!(fault(&folder.path().join("none")).unwrap().0.contains("打不开"));
    }
}
