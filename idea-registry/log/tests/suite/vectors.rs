//! Published figures, from implementations and logs that know nothing of this one.

use mesh_tlog::{
    Checkpoint, Edge, Hash, Level, SignedCheckpoint, SignerKey, Tile, TreeHead, TrustedLog,
    VerifierKey, leaf_hash,
};

/// The key of the Go checksum database, as it is built into the go command.
const SUM_GOLANG_ORG: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

/// Checkpoints that the Go checksum database signed from 2022 to 2026, as published in the tests and
/// documentation of litewitness, the armored witness and others: size, root, signature.
const SUM_GOLANG_ORG_SIGNED: [(u64, &str, &str); 5] = [
    (
        15_081_221,
        "BoMMe1wd25Tco0mYGROkyqxHZWx+hcSCtMV315Lu6Lg=",
        "Az3grilD7vQqTrv66jRgKM84Y80KTprrSt4bKmiOPxgmS5ZVBTeCl6dUvjYnN13R+C8j0jGY1WnUADGMkok3U0m2Zgo=",
    ),
    (
        19_777_102,
        "+g50vJoV4VVGa6aiQF3LYGUZHEP4pvGkW38vlR7WKtU=",
        "Az3griMTLHyRzj7jMuyEt85a2JnegVME6Lx3xLEBdzTd3FMDiD5y3bHV24rcl0yijOtWxV0zyygwTdo/rnaennuoqgU=",
    ),
    (
        35_225_469,
        "vt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=",
        "Az3grpukl5AXaVfYkLiDGORx/DN2nlcS5kZHR5uYOBV2KA2HgXpD+gu9HHONebHLAyaKbbTM75QTtPydhKCExixSfwQ=",
    ),
    (
        63_096_908,
        "8lHrQPRYe4KT4WQ9/Qk8/taKnD6IRHbFgfN7vQE2Y54=",
        "Az3gri/oVBN1jAhNZ/iS+W31psFAWRT20/GyrhpU6taFwulQGetBkH5S7wpGXdS935jiIGiUUAXBVHzT/P6fYhqAmAk=",
    ),
    (
        63_512_409,
        "F7eHRPqN/cqPtqti14NKdGGaI1Giw8coWP3KxihFZbg=",
        "Az3gri1OBHKT87Xj8UXU8zjoHGy/X+7Nl94f8TZkELVaasolmGApUsWqwVG9vE6hgqYb/ph/w2vdkLIVRH7bMB/FPQ4=",
    ),
];

#[test]
fn checkpoints_of_the_go_checksum_database_are_believed() {
    let key = VerifierKey::parse(SUM_GOLANG_ORG).unwrap();
    assert_eq!(key.to_string(), SUM_GOLANG_ORG);
    let log = TrustedLog::new("go.sum database tree", vec![key]).unwrap();
    for (size, root, signature) in SUM_GOLANG_ORG_SIGNED {
        let text =
            format!("go.sum database tree\n{size}\n{root}\n\n— sum.golang.org {signature}\n");
        let checkpoint = log.open(text.as_bytes()).unwrap();
        assert_eq!(checkpoint.head(), TreeHead { size, root: root.parse().unwrap() });
        assert_eq!(checkpoint.to_string(), text);
        let other = text.replacen(&size.to_string(), &(size + 1).to_string(), 1);
        log.open(other.as_bytes()).unwrap_err();
    }
}

/// A checkpoint of a Certificate Transparency log, as it was cosigned by public witnesses in 2026, from the
/// tests of a Python client. Six lines, two of them by the log, of which one is of a type not known here.
const COSIGNED: &str = "\
arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==
— witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
— witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==
";

#[test]
fn a_checkpoint_cosigned_in_public_is_believed() {
    let log = "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f";
    let log = TrustedLog::from_key(VerifierKey::parse(log).unwrap()).unwrap();
    let witness = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2";
    let witness = [VerifierKey::parse(witness).unwrap()];
    let checkpoint = log.open(COSIGNED.as_bytes()).unwrap();
    let found = checkpoint.cosignatures(&witness).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].witness.as_str(), found[0].at.seconds()), ("remora.n621.de", 0x6a12_2120));
    assert_eq!(checkpoint.to_string(), COSIGNED);
    // The same cosignature with another time.
    let later = COSIGNED.replace("2net5wAAAABqEiEg", "2net5wAAAABqEiEh");
    log.open(later.as_bytes()).unwrap().cosignatures(&witness).unwrap_err();
}

/// The golden text of Go's `tlog` (`FormatTree`), and the key in the tests of Go's `sumdb`.
#[test]
fn texts_and_keys_are_those_of_go() {
    let head = TreeHead { size: 123_456_789_012, root: leaf_hash(b"hello world") };
    let golden =
        "go.sum database tree\n123456789012\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n";
    assert_eq!(Checkpoint::new("go.sum database tree", head).unwrap().to_string(), golden);
    assert_eq!(golden.parse::<Checkpoint>().unwrap().head(), head);
    let secret = "PRIVATE+KEY+localhost.localdev/sumdb+00000c67+AXu6+oaVaOYuQOFrf1V59JK1owcFlJcHwwXHDfDGxSPk";
    let key = SignerKey::parse(secret).unwrap();
    assert_eq!(key.secret(), secret);
    assert_eq!(
        key.verifier().to_string(),
        "localhost.localdev/sumdb+00000c67+AcTrnkbUA+TU4heY3hkjiSES/DSQniBqIeQ/YppAUtK6"
    );
    // The example of C2SP `signed-note`.
    let text = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    assert_eq!(VerifierKey::parse(text).unwrap().to_string(), text);
}

/// The test log of Tessera, the Go library for such logs (`testdata/log`): its key, its entries, and the
/// root and signature at each size from 0 on.
const TESSERA_KEY: &str =
    "PRIVATE+KEY+example.com/log/testdata+33d7b496+AeymY/SZAX0jZcJ8enZ5FY1Dz+wTML2yWSkK+9DSF3eg";
const TESSERA_ENTRIES: &str =
    "one two three four five six seven eit nain ten ileven twelf threeten fourten fivten";
const TESSERA_SIGNED: [(&str, &str); 16] = [
    (
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "M9e0lhxJACzE1KoUdqKuPa+9p6R7dSW8BlEvrg/noo8FkGg6PbJoRNOcdjqjOq89wVvTA60eubCc4oufo5BvIVEgtQc=",
    ),
    (
        "0Nc2CrefWKseHj/mStd+LqC8B+NrX0btIiPt2SmN+ek=",
        "M9e0lhr9kuLxGdAtaUrhm84TQffVsLdcy808sN0a3WyniNlfcr9+bywoiIke1YYciCNjJGkCgIlQ8b16jhsmg/SChAM=",
    ),
    (
        "T1X2GdkhUjV3iyufF9b0kVsWFxIU0VI4EpNml2Teci4=",
        "M9e0llH4NKmlf0u7C8tkJioQOmi7l5ELqljXgKRg6R3G5JJ7vx7emDWo5fpqKuA/Dk/jRrI6il+7QCVirNhyUAWGoAk=",
    ),
    (
        "Wqx3HImawpLnS/Gv4ubjAvi1WIOy0b8Ze0amvqbavKk=",
        "M9e0lvAQRtH832pk2RTbeSeZMkp4FZSdJYFBUjO5SKxuRbywPUF3cx+HUrb50kjd3rUWW/fj53Wj1dwcwh9bGQnqVAg=",
    ),
    (
        "zY1lN35vrXYAPixXSd59LsU29xUJtuW4o2dNNg5Y2Co=",
        "M9e0lnFuWt0cp60moO4jAkeXvMNLIIOGn4WdyeHQurBt9mBi0tWdfkldiAt9k0FpwuZymvttsVn9uwyouXU3vPpeNAc=",
    ),
    (
        "gy5gl3aksFyiCO95a/1vLXz88A3dRq+0l9Sxte8ZqZQ=",
        "M9e0lmn5eDHyHP10zJObZdFAX2y1V8fdDKBi4IiHbDYf1TCUBwxZOhqwv2QZCqrdda2zTRTrmnwjwscN5RBTEmZUYAs=",
    ),
    (
        "a6sWvsc2eEzmj72vah7mZ5dwFltivehh2b11qwlp5Jg=",
        "M9e0ln+nHSdGSHEZBcjvqyYDXDbG8WxDwCDjbbGAMv/NTynAtJWhckSXIpuwpN3yJ4PTtzUbD34YGqIZr6RgJRn16gU=",
    ),
    (
        "IrSXADBqJ7EQoUODSDKROySgNveeL6CFhik2w/+fS7U=",
        "M9e0luA5JhTRUki/BBQD0QNiH6AEJ2pdtsA5CQjqJErViuuKrN6513RCTL2640wXJv0dCed3neRGI6dMzBq9uANf2Qc=",
    ),
    (
        "bC+VwvrJbalNVjfkdI8kUgs7mJoXrqiXCE7bgnD28pY=",
        "M9e0lq1EK37dHtgv9O3UzPxisw5vwIPcJsX9ab0xt4mvVfbdUR1fbMjN6sBFYpBoBEmD4+cWhj/AVgI5MitCO5+mews=",
    ),
    (
        "CvhHViE3S9E3htHLR+25mapWoGCJ3WckMq1UtC3VmEY=",
        "M9e0ls3mdnWX0qk4P3uGG0eYiFRWSwPR+RdeD1ARmrHPHjXP0x9UJWASPFTOTqJo0mp7Epck2O9RFB0J9IjDdAewagw=",
    ),
    (
        "y8/gZsZCtitsMan09tY+k8I7Qpr7Y5fbO2tLi9GQnfU=",
        "M9e0lrmwaVEOWFZ+HS5ITnRd2YMOSWE5QeoYu+6DHwJLnJ+SVeJ2ZiYeD7lVC5oGJx76gbfLSyCUEq6D8JkarrsuiQQ=",
    ),
    (
        "Yok1cS5VdokGLBy73BC2I16b3atss6KBN9jnIi6Fz/A=",
        "M9e0lqbRtWirJwbUy4w3VrK2RyzfW8P+OIkc8t6b6AVG/tQd1Q2SN+uCLYzNNFnf/PhzeCdURSGQe1MRnohCxPu21wg=",
    ),
    (
        "uZo6M+IhVna+CLgWCrJs0xBPUHbozHkYTQASduHSLME=",
        "M9e0lrFzoTgi+ovhrqX0DpsEAp3wLu1coMLIkeCwSkGfS4Ox4pLXo2LHudqm4merh0ZkCNzHr8kQwq5gS5mmimIvdA4=",
    ),
    (
        "av0kLH0VkkVDrTuZzBGIx7d9z5G1l/GlKz/nAV/8woQ=",
        "M9e0liO8x8xfEOGmZVYODUjQajkEpjccPQ9EkG3yEEDet4K3BWE/DFRPH6H+b6gFFFaG5KS1bBmYS/xeZJs8lj+z+wM=",
    ),
    (
        "SvCd38yNade7xEPY1a/aAc1M3A2AHYVF8lIiUnsH1ao=",
        "M9e0lu8roIpjC+NXEG7JDkajIahoYDYWgxDtxfx/6rzLoztU9t/PvivZ48xt8ygJpjzaboSpkbVv3Jb+D3NdXWQf5wo=",
    ),
    (
        "rKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs=",
        "M9e0luh4jTG+UMBqOUo9/q+yAEvx1ilBEniMvjf1zfcBOhg+CKubMt53MvIt/uEWP6zdkdIQzd/fmwlM/dlPWF74ewI=",
    ),
];

#[test]
fn the_test_log_of_tessera_comes_out_byte_for_byte() {
    let key = SignerKey::parse(TESSERA_KEY).unwrap();
    let mut edge = Edge::empty();
    let mut entries = TESSERA_ENTRIES.split(' ');
    for (root, signature) in TESSERA_SIGNED {
        let head = edge.head();
        assert_eq!(head.root.to_string(), root);
        let checkpoint = Checkpoint::new("example.com/log/testdata", head).unwrap();
        let signed = SignedCheckpoint::sign(checkpoint, &key).unwrap().to_string();
        let (size, name) = (head.size, "example.com/log/testdata");
        assert_eq!(signed, format!("{name}\n{size}\n{root}\n\n— {name} {signature}\n"));
        if let Some(entry) = entries.next() {
            edge = edge.integrate(&[entry]).unwrap().0;
        }
    }
    let all: Vec<&str> = TESSERA_ENTRIES.split(' ').collect();
    let (_, files) = Edge::empty().integrate(&all).unwrap();
    let paths: Vec<String> = files.iter().map(|file| file.tile.to_string()).collect();
    assert_eq!(paths, ["tile/entries/000.p/15", "tile/0/000.p/15"]);
    assert!(files[0].bytes.starts_with(b"\0\x03one\0\x03two\0\x05three\0\x04four"));
    // SHA-256 of the tile, here as that of a leaf would be without its prefix.
    let tile: Vec<Hash> =
        files[1].bytes.as_chunks::<32>().0.iter().map(|bytes| Hash(*bytes)).collect();
    assert_eq!(tile, all.iter().map(|entry| leaf_hash(entry.as_bytes())).collect::<Vec<_>>());
}

/// The eight leaves and roots that the tests of Certificate Transparency have had from the first.
#[test]
fn roots_are_those_of_certificate_transparency() {
    let entries: [&[u8]; 8] = [
        b"",
        &[0x00],
        &[0x10],
        &[0x20, 0x21],
        &[0x30, 0x31],
        &[0x40, 0x41, 0x42, 0x43],
        &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        &[
            0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d,
            0x6e, 0x6f,
        ],
    ];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    for (size, root) in roots.iter().enumerate() {
        let (edge, _) = Edge::empty().integrate(&entries[..size]).unwrap();
        let hex: String = edge.head().root.0.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, *root, "{size} leaves");
    }
}

/// The example of C2SP `tlog-tiles`: which tiles a log of 70,000 has.
#[test]
fn a_log_of_70_000_has_the_tiles_that_the_specification_counts() {
    let log = crate::kit::Log::of(70_000);
    let of = |level: Level| {
        let tiles: Vec<&Tile> = log.files.keys().filter(|tile| tile.level() == level).collect();
        let partial: Vec<u16> =
            tiles.iter().filter(|tile| !tile.is_full()).map(|tile| tile.width()).collect();
        (tiles.len() - partial.len(), partial)
    };
    assert_eq!(of(Level::Entries), (273, vec![112]));
    assert_eq!(of(Level::Hashes(0)), (273, vec![112]));
    assert_eq!(of(Level::Hashes(1)), (1, vec![17]));
    assert_eq!(of(Level::Hashes(2)), (0, vec![1]));
    let far = Tile::in_log(Level::Hashes(0), 1_234_067, u64::MAX >> 1).unwrap();
    assert_eq!(far.to_string(), "tile/0/x001/x234/067");
}
