//! Our own source as data: every path that a file names, every string in it, every `unsafe`, with the line.

use proc_macro2::{TokenStream, TokenTree};
use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};
use syn::{
    Attribute, Expr, ExprUnsafe, ImplItemFn, Item, ItemFn, ItemImpl, LitStr, Macro, UseTree,
    spanned::Spanned,
    visit::{self, Visit},
};

/// One file of `src`, without its tests.
pub struct Source {
    /// As in `machine/store.rs`.
    pub name: String,
    /// As in `["machine", "store"]`.
    pub module: Vec<String>,
    pub lines: usize,
    pub mentions: Mentions,
    pub statements: Vec<Statement>,
    /// The modules that it declares.
    pub declares: Vec<String>,
}

/// A path as written, with `crate`, `self` and `super` resolved: ours begin with `crate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    pub path: Vec<String>,
    pub line: usize,
}

/// What one file names.
#[derive(Default)]
pub struct Mentions {
    pub paths: Vec<Mention>,
    pub strings: Vec<(String, usize)>,
    pub unsafes: Vec<usize>,
    module: Vec<String>,
}

/// All of `src`, sorted, without files of tests. Read once.
pub fn all() -> &'static [Source] {
    static ALL: OnceLock<Vec<Source>> = OnceLock::new();
    ALL.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        collect(&root, &mut files);
        files.sort();
        assert!(files.len() > 50, "the source has moved");
        files
            .iter()
            .map(|file| {
                let name = file.strip_prefix(&root).expect("below src").to_string_lossy().into_owned();
                Source::parse(&name, &std::fs::read_to_string(file).expect("a source file"))
            })
            .collect()
    })
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of src").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
            files.push(path);
        }
    }
}

impl Source {
    pub fn parse(name: &str, text: &str) -> Self {
        let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let stem = name.trim_end_matches(".rs").trim_end_matches("/mod");
        let module = match stem {
            "lib" => Vec::new(),
            stem => stem.split('/').map(str::to_owned).collect(),
        };
        let mut mentions = Mentions { module: module.clone(), ..Mentions::default() };
        mentions.visit_file(&syntax);
        let mut statements = Statements::default();
        statements.visit_file(&syntax);
        let declares = syntax.items.iter().filter_map(|item| match item {
            Item::Mod(module) => Some(module.ident.to_string()),
            _ => None,
        });
        Self {
            name: name.to_owned(),
            module,
            lines: text.lines().count(),
            mentions,
            statements: statements.found,
            declares: declares.collect(),
        }
    }
}

impl Mentions {
    fn note(&mut self, mut path: Vec<String>, line: usize) {
        match path.first().map(String::as_str) {
            // The binary's own crate is the library's user.
            Some("jiyue") => "crate".clone_into(&mut path[0]),
            Some("self" | "super") => {
                let mut base = self.module.clone();
                let ups = path.iter().take_while(|s| *s == "super").count();
                base.truncate(base.len().saturating_sub(ups));
                let rest = path.iter().skip_while(|s| *s == "super" || *s == "self").cloned();
                path = std::iter::once("crate".to_owned()).chain(base).chain(rest).collect();
            }
            _ => {}
        }
        self.paths.push(Mention { path, line });
    }

    fn note_use(&mut self, tree: &UseTree, prefix: &[String], line: usize) {
        let with = |ident: &syn::Ident| [prefix, &[ident.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.note_use(&path.tree, &with(&path.ident), line),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.note_use(tree, prefix, line)),
            UseTree::Name(name) => self.note(with(&name.ident), line),
            UseTree::Rename(name) => self.note(with(&name.ident), line),
            UseTree::Glob(_) => self.note(prefix.to_vec(), line),
        }
    }

    /// Inside a macro's call there is no syntax to walk, only words.
    fn note_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let (mut line, mut colons) = (0, 0);
        for token in tokens {
            match token {
                TokenTree::Ident(ident) if ident == "unsafe" => self.unsafes.push(ident.span().start().line),
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.flush(&mut path, line);
                        line = ident.span().start().line;
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.flush(&mut path, line);
                    colons = 0;
                    self.note_tokens(group.stream());
                }
                TokenTree::Literal(literal) => {
                    if let Ok(text) = syn::parse_str::<LitStr>(&literal.to_string()) {
                        self.strings.push((text.value(), literal.span().start().line));
                    }
                }
                TokenTree::Punct(_) => {
                    self.flush(&mut path, line);
                    colons = 0;
                }
            }
        }
        self.flush(&mut path, line);
    }

    fn flush(&mut self, path: &mut Vec<String>, line: usize) {
        if !path.is_empty() {
            self.note(std::mem::take(path), line);
        }
    }
}

/// Whether it is there for tests alone.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|a| {
        a.path().is_ident("cfg") && matches!(&a.meta, syn::Meta::List(list) if list.tokens.to_string() == "test")
    })
}

impl<'ast> Visit<'ast> for Mentions {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Use(item) => {
                let line = item.span().start().line;
                if !is_test(&item.attrs) {
                    self.note_use(&item.tree, &[], line);
                }
                return;
            }
            Item::Impl(item) => &item.attrs,
            Item::Const(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter().map(|s| s.ident.to_string()).collect();
        self.note(segments, path.span().start().line);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, mac: &'ast Macro) {
        visit::visit_macro(self, mac);
        self.note_tokens(mac.tokens.clone());
    }

    fn visit_lit_str(&mut self, text: &'ast LitStr) {
        self.strings.push((text.value(), text.span().start().line));
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        self.visit_path(attribute.path());
    }

    fn visit_expr_unsafe(&mut self, block: &'ast ExprUnsafe) {
        self.unsafes.push(block.span().start().line);
        visit::visit_expr_unsafe(self, block);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        if matches!(signature.safety, syn::Safety::Unsafe(_)) {
            self.unsafes.push(signature.span().start().line);
        }
        visit::visit_signature(self, signature);
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if item.unsafety.is_some() {
            self.unsafes.push(item.span().start().line);
        }
        visit::visit_item_impl(self, item);
    }
}

/// SQL that is passed to sqlx.
pub struct Statement {
    /// `None` where it is put together at run time.
    pub text: Option<String>,
    /// The function around it.
    pub function: String,
}

#[derive(Default)]
struct Statements {
    found: Vec<Statement>,
    function: String,
}

impl<'ast> Visit<'ast> for Statements {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.function = item.sig.ident.to_string();
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.function = item.sig.ident.to_string();
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let Expr::Path(callee) = &*call.func
            && let [krate, function] = &callee.path.segments.iter().collect::<Vec<_>>()[..]
            && krate.ident == "sqlx"
            && (function.ident.to_string().starts_with("query") || function.ident == "raw_sql")
        {
            let text = match call.args.first() {
                Some(Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. })) => Some(text.value()),
                _ => None,
            };
            self.found.push(Statement { text, function: self.function.clone() });
        }
        visit::visit_expr_call(self, call);
    }
}
