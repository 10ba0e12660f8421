use super::*;
use proptest::prelude::*;

fn gib(n: i64) -> Option<Bytes> {
    Bytes::gib(n)
}

#[test]
fn phrases_as_offices_write_them() {
    let cores = |text: &str| {
        read::<Cores>(text).map(|s| (s.each.map(|c| c.0), s.all.map(|c| c.0), s.plain.map(|c| c.0), s.machines))
    };
    for (text, answer) in [
        ("8", (None, None, Some(8), None)),
        ("8核", (None, None, Some(8), None)),
        ("８ 核", (None, None, Some(8), None)),
        ("8C", (None, None, Some(8), None)),
        ("8 vCPU", (None, None, Some(8), None)),
        ("CPU 8核", (None, None, Some(8), None)),
        ("8核（应用服务器）", (None, None, Some(8), None)),
        ("八核", (None, None, Some(8), None)),
        ("每台8核", (Some(8), None, None, None)),
        ("8核/台", (Some(8), None, None, None)),
        ("8核（每台）", (Some(8), None, None, None)),
        ("单台：8核", (Some(8), None, None, None)),
        ("8核（两台合计）", (None, Some(8), None, Some(2))),
        ("两台共16核", (None, Some(16), None, Some(2))),
        ("2台每台8核", (Some(8), None, None, Some(2))),
        ("4核/VM", (Some(4), None, None, None)),
        ("4核/虚拟机", (Some(4), None, None, None)),
        ("共32核（每台8核）", (Some(8), Some(32), None, None)),
        ("每台8核，共32核", (Some(8), Some(32), None, None)),
        ("合计32核", (None, Some(32), None, None)),
        ("2台，每台8核", (Some(8), None, None, Some(2))),
        ("8核×2台", (Some(8), None, None, Some(2))),
        ("2台×8核", (Some(8), None, None, Some(2))),
        ("2台*8核，共16核", (Some(8), Some(16), None, Some(2))),
    ] {
        assert_eq!(cores(text), Ok(answer), "{text}");
    }
    let sizes = |text: &str| read::<Bytes>(text).map(|s| (s.each, s.all, s.plain));
    for (text, answer) in [
        ("16G", (None, None, gib(16))),
        ("16384MB", (None, None, gib(16))),
        ("2T", (None, None, gib(2048))),
        ("1,024GB", (None, None, gib(1024))),
        ("每台32GB，共128GB", (gib(32), gib(128), None)),
        ("每台32GB,共128GB", (gib(32), gib(128), None)),
        ("系统盘100G，数据盘1T", (None, None, gib(1124))),
        ("每台200GB（系统盘50GB+数据盘150GB）", (gib(200), None, None)),
        ("1124G（系统盘100G，数据盘1T）", (None, None, gib(1124))),
        ("系统盘100G\n数据盘1T", (None, None, gib(1124))),
        ("系统盘：100GB；数据盘：1TB", (None, None, gib(1124))),
        ("100G（系统盘）+1T（数据盘）", (None, None, gib(1124))),
        ("系统盘100G+数据盘500G×2块", (None, None, gib(1100))),
        ("系统盘100G+数据盘2块500G", (None, None, gib(1100))),
        ("每台系统盘100G，数据盘1T", (gib(1124), None, None)),
        ("系统盘100G，数据盘1T（每台）", (gib(1124), None, None)),
        ("系统盘 100G、数据盘 1T，每台", (gib(1124), None, None)),
        ("每台（系统盘100G，数据盘1T）", (gib(1124), None, None)),
        ("内存16G", (None, None, gib(16))),
        ("16 GB/台", (gib(16), None, None)),
        ("100G SSD", (None, None, gib(100))),
    ] {
        assert_eq!(sizes(text), Ok(answer), "{text}");
    }
}

#[test]
fn what_has_no_one_reading_is_refused() {
    use QuantityFault as Q;
    use StatedFault as F;
    for (text, fault) in [
        ("", F::Quantity(Q::Empty)),
        ("2-4核", F::Quantity(Q::Range)),
        ("2核-4核", F::Quantity(Q::Range)),
        ("每台2至4核", F::Quantity(Q::Range)),
        ("8核或16核", F::Quantity(Q::Range)),
        ("约8核", F::Approximate),
        ("8核以上", F::Approximate),
        ("≥8核", F::Approximate),
        ("不低于8核", F::Approximate),
        ("8核，16核", F::Several),
        ("8核16G", F::Several),
        ("每台8核，16核", F::Several),
        ("8核×2", F::Several),
        ("若干", F::Quantity(Q::NotANumber)),
        ("每台", F::Words),
        ("8核应用服务器", F::Words),
        ("8核（应用2）", F::Quantity(Q::NotANumber)),
        ("8颗", F::Words),
        ("-8核", F::Quantity(Q::Negative)),
        ("2.5核", F::Quantity(Q::NotWhole)),
    ] {
        assert_eq!(read::<Cores>(text).err(), Some(fault), "{text}");
    }
    for (text, fault) in [
        ("16", F::Quantity(Q::UnitMissing)),
        ("每台16", F::Quantity(Q::UnitMissing)),
        ("100Mbps", F::Quantity(Q::UnitUnknown)),
        ("每台200GB（系统盘50GB+数据盘100GB）", F::Several),
        ("16G，32G", F::Several),
        ("500G×2", F::Several),
        ("系统盘100G，1T", F::Several),
        ("8192T", F::Quantity(Q::TooLarge)),
        ("适量", F::Quantity(Q::NotANumber)),
    ] {
        assert_eq!(read::<Bytes>(text).err(), Some(fault), "{text}");
    }
}

#[test]
fn numbers_of_machines() {
    for (text, n) in [
        ("2", 2),
        ("2台", 2),
        ("两台", 2),
        ("十二台", 12),
        ("共3台", 3),
        ("2（两台）", 2),
        ("３ 台（应用2台，数据库1台）", 3),
        ("2台（应用、接口各1台）", 2),
        ("4台（2台应用，2台接口）", 4),
    ] {
        assert_eq!(machines(text), Ok(n), "{text}");
    }
    assert_eq!(machines("3台（应用1台，数据库1台）"), Err(StatedFault::Several));
    assert_eq!(machines("2-3台"), Err(QuantityFault::Range.into()));
    assert_eq!(machines("约2台"), Err(StatedFault::Approximate));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = (read::<Bytes>(&text), read::<Cores>(&text), machines(&text));
    }

    #[test]
    fn any_near_phrase_is_read_or_refused(
        text in "(每台|共|单台|系统盘|数据盘|约|)?[0-9]{0,4}(台|核|G|TB|)[，,+×/（()）、-]?(每台|合计|)?[0-9]{0,4}(台|核|GB|M|块)?[）)]?"
    ) {
        let _ = (read::<Bytes>(&text), read::<Cores>(&text), machines(&text));
    }

    #[test]
    fn each_and_all_are_read_as_written(each in 1_i64..4096, n in 2_i64..64) {
        for text in [format!("每台{each}G，共{}G", each * n), format!("共{}GB（每台{each}GB）", each * n)] {
            let stated = read::<Bytes>(&text).map_err(|e| TestCaseError::fail(format!("{text}: {e}")))?;
            prop_assert_eq!((stated.each, stated.all, stated.plain), (gib(each), gib(each * n), None));
        }
    }
}
