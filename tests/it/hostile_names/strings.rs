//! A hundred strings that somebody's parser once took for something else, the same at each run.

use crate::support::Dice;

/// What becomes of a string depends on who reads it: XML, YAML, shells, SQL, terminals, file systems, spreadsheets.
const KNOWN: &[&str] = &[
    "</name><name>foreign",
    "</domain><domain type='qemu'>",
    "<source file='/etc/shadow'/>",
    "]]></name>",
    "<![CDATA[</name>]]>",
    "<!-- comment",
    "--><devices/>",
    "<?xml version='1.0'?><domain/>",
    "&lt;name&gt;&amp;",
    "&#0;&#x1;&#xfffe;",
    "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
    "'\"><script>alert(document.cookie)</script>",
    "name' type='volume",
    "<jiyue:machine xmlns:jiyue='urn:jiyue:machine:1' machine='x' operation='y'/>",
    "办公系统\0之后",
    "办公\u{b}系统",
    "办公\u{fffe}系统",
    "\u{feff}办公系统",
    "yes",
    "NO",
    "on",
    "null",
    "~",
    "true",
    "1e3",
    "0x1f",
    "0o17",
    ".inf",
    "12:30:00",
    "2020-01-01",
    "- item",
    "key: value",
    "key:\n  nested: value",
    "# comment",
    "value # comment",
    "{a: b, c: [d]}",
    "[a, b",
    "*alias",
    "&anchor value",
    "!!python/object/apply:os.system ['id']",
    "!!binary aGVsbG8=",
    "| \n literal",
    ">- folded",
    "%TAG ! tag:x,2000:",
    "@reserved",
    "`reserved`",
    "--- \nruncmd: [id]\n...",
    "\"double",
    "'single",
    "'' '' ''",
    "back\\slash\\",
    "\"\\x41\\u0042\"",
    "a\nruncmd:\n - [sh, -c, id]",
    "? complex",
    "<<: *merge",
    "=",
    "\t- tab",
    "#cloud-config\nruncmd: [id]",
    "#!/bin/sh\nid > /tmp/pwned",
    "办公\u{85}系统",
    "办公\u{2028}系统",
    "办公\u{7f}系统",
    "$(id)",
    "`touch /tmp/pwned`",
    "; rm -rf / #",
    "| nc 127.0.0.1 1 -e /bin/sh",
    "../../../../etc/passwd",
    "/dev/sda",
    "%2e%2e%2f%2e%2e%2f",
    "\\\\host\\share\\x",
    "-rf",
    "--config=/etc/shadow",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "${jndi:ldap://127.0.0.1/x}",
    "%s%s%n%p",
    "' or '1'='1' --",
    "'; drop table machines; --",
    "$1 $2 ?1",
    "\u{202e}fdp.系统",
    "隐\u{200b}藏",
    "а\u{0441}dmin-кириллица",
    "ｆｕｌｌ－ｗｉｄｔｈ；＇＂",
    "=cmd|' /C calc'!A0",
    "+1+cmd|'/C calc'!A0",
    "CON",
    "a..b",
    "尾点.",
    "  两端空白  ",
    "xn--80ak6aa92e",
    "\r\nSet-Cookie: session=x\r\n\r\n<html>",
    "\u{1b}[31m红\u{1b}[0m",
    "𠀀𠀁𠀂",
    "e\u{301}\u{301}\u{301}\u{301}",
    "👨\u{200d}👩\u{200d}👧",
];

/// Pieces of which the rest are put together.
const PIECES: &[&str] = &[
    "<", ">", "&", "'", "\"", "\n", ": ", "- ", "#", "{", "]", "\\", "%", "\0", "\u{202e}", "办公", "x", " ", "</",
    "/>", "--", "!",
];

pub const COUNT: usize = 100;

/// All of them, and the seed of those that are thrown.
pub fn all() -> (u64, Vec<String>) {
    let mut dice = Dice::new(20_261_121);
    let seed = dice.seed;
    let mut all: Vec<String> = KNOWN.iter().map(|text| (*text).to_owned()).collect();
    all.push("a".repeat(300));
    all.push("汉".repeat(101));
    while all.len() < COUNT {
        let length = 3 + dice.below(9);
        all.push((0..length).map(|_| dice.pick(PIECES)).collect());
    }
    assert_eq!(all.len(), COUNT);
    (seed, all)
}
