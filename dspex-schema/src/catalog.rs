//! Looking classes up: in the built-in snapshot or in a directory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
#[cfg(feature = "builtin-schema")]
use std::sync::OnceLock;

use serde_json::{Value, json};

#[cfg(feature = "builtin-schema")]
use crate::builtin::Builtin;
use crate::index::{FUNCTIONS_FILE, INDEX_FILE};
use crate::{Class, Error, Function, Index, Result, closest_path};

/// A snapshot that classes can be looked up in.
#[derive(Clone, Debug)]
pub struct Catalog {
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    /// The index is read once somebody asks for it: who finds a class by its name never does, and reading it takes
    /// longer than all else that a macro does.
    #[cfg(feature = "builtin-schema")]
    Builtin(&'static Builtin, OnceLock<Index>),
    Directory(PathBuf, Index),
}

impl Catalog {
    /// The snapshot that comes with this release. Its index is read once per process; it cannot change.
    #[cfg(feature = "builtin-schema")]
    pub fn builtin() -> &'static Self {
        static BUILTIN: Catalog =
            Catalog { source: Source::Builtin(&crate::builtin::PINNED, OnceLock::new()) };
        &BUILTIN
    }

    /// The snapshot of a release of DSPy, if this crate was built with it: always that of
    /// [`BUILTIN_DSPY`](Self::BUILTIN_DSPY); 3.3.1 with the feature `dspy-3-3`, 3.2.1 with `dspy-3-2`.
    ///
    /// # Errors
    /// None in practice: the tests of this crate read all of them.
    #[cfg(feature = "builtin-schema")]
    pub fn of_dspy(version: &str) -> Result<Option<Self>> {
        let found = crate::builtin::ALL.iter().find(|builtin| builtin.dspy == version);
        let embedded = |builtin: &&'static Builtin| {
            let index = OnceLock::from(builtin.index()?);
            Ok(Self { source: Source::Builtin(builtin, index) })
        };
        found.map(embedded).transpose()
    }

    /// The releases of DSPy whose snapshots this crate was built with, the newest first.
    #[cfg(feature = "builtin-schema")]
    pub fn versions() -> impl Iterator<Item = &'static str> {
        crate::builtin::ALL.iter().map(|builtin| builtin.dspy)
    }

    /// The release of DSPy that [`Catalog::builtin`] describes.
    #[cfg(feature = "builtin-schema")]
    pub const BUILTIN_DSPY: &'static str = crate::builtin::PINNED.dspy;

    /// A snapshot in a directory.
    ///
    /// # Errors
    /// [`Error::Missing`] if the directory holds none; otherwise what [`Index::parse`] says.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self> {
        let dir = dir.into();
        let path = dir.join(INDEX_FILE);
        let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::Missing { dir: dir.clone() },
            _ => Error::io("read", &path)(error),
        })?;
        let index = Index::parse(&text, &path.display().to_string())?;
        Ok(Self { source: Source::Directory(dir, index) })
    }

    /// The index: names, files and fingerprints.
    ///
    /// # Panics
    /// Never: the embedded indexes are checked by this crate's tests.
    #[allow(clippy::expect_used, reason = "the text is part of this crate and a test reads it")]
    pub fn index(&self) -> &Index {
        match &self.source {
            #[cfg(feature = "builtin-schema")]
            Source::Builtin(builtin, index) => {
                index.get_or_init(|| builtin.index().expect("the built-in index is valid"))
            }
            Source::Directory(_, index) => index,
        }
    }

    /// The class with this name, which may be any of the paths at which DSPy exports it. `None` if there is none.
    ///
    /// # Errors
    /// A class file that cannot be read, or that is not the one the index was written with.
    pub fn get(&self, path: &str) -> Result<Option<Class>> {
        if let Some(class) = self.load(path)? {
            return Ok(Some(class));
        }
        match self.resolve(path)? {
            Some(name) => self.load(&name),
            None => Ok(None),
        }
    }

    /// The class whose name comes closest to `path`, to be proposed in an error message.
    pub fn suggest(&self, path: &str) -> Option<&str> {
        closest_path(path, self.index().classes.keys().map(String::as_str))
    }

    /// Every class, by name.
    ///
    /// # Errors
    /// As [`Catalog::get`].
    pub fn classes(&self) -> impl Iterator<Item = Result<Class>> + '_ {
        self.index().classes.keys().filter_map(|name| self.load(name).transpose())
    }

    /// The public functions, by name. A snapshot that has only their names has none of these.
    ///
    /// # Errors
    /// A file that cannot be read or is no valid schema file.
    pub fn functions(&self) -> Result<Vec<Function>> {
        let malformed = |source| Error::Malformed { origin: FUNCTIONS_FILE.to_owned(), source };
        let documents = self.function_documents()?.into_iter();
        let described = documents.filter(|document| document.as_object().is_some_and(|keys| keys.len() > 1));
        let mut functions = described
            .map(|document| serde_json::from_value(document).map_err(malformed))
            .collect::<Result<Vec<Function>>>()?;
        functions.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(functions)
    }

    /// The files of this snapshot as procedural macros want them, by name: the class files as they are, and an
    /// index that also knows the other paths of the classes, so that looking one up reads one small file.
    ///
    /// Every class file is read and checked on the way.
    ///
    /// # Errors
    /// As [`Catalog::get`], for the first file that is wrong.
    pub fn digest(&self) -> Result<BTreeMap<String, String>> {
        let mut index = self.index().clone();
        let mut files = BTreeMap::new();
        for (name, entry) in &self.index().classes {
            let Some((class, text)) = self.load_text(name)? else { continue };
            for path in class.exports.iter().chain([&class.canonical]) {
                if !path.is_empty() && !self.index().classes.contains_key(path) {
                    index.aliases.insert(path.clone(), name.clone());
                }
            }
            files.insert(entry.file.clone(), text.into_owned());
        }
        let text = serde_json::to_string(&index)
            .map_err(|source| Error::Malformed { origin: INDEX_FILE.to_owned(), source })?;
        files.insert(INDEX_FILE.to_owned(), text);
        Ok(files)
    }

    /// Reads the class with exactly this public name.
    fn load(&self, name: &str) -> Result<Option<Class>> {
        Ok(self.load_text(name)?.map(|(class, _)| class))
    }

    fn load_text(&self, name: &str) -> Result<Option<(Class, Cow<'static, str>)>> {
        let Some((origin, text)) = self.text(name)? else { return Ok(None) };
        let class = Class::parse(&text, &origin)?;
        if class.name != name {
            return Err(Error::invalid(origin, format!("it describes `{}`, not `{name}`", class.name)));
        }
        if let Source::Directory(_, index) = &self.source
            && let Some(entry) = index.classes.get(name)
            && class.abi_sha256 != entry.abi_sha256
        {
            return Err(Error::Mismatch {
                file: origin,
                expected: entry.abi_sha256.clone(),
                found: class.abi_sha256,
            });
        }
        Ok(Some((class, text)))
    }

    /// The document of the class with exactly this public name, with all of its keys. `None` if there is none.
    ///
    /// # Errors
    /// A file that cannot be read, is no JSON, or is of another format.
    pub fn document(&self, name: &str) -> Result<Option<Value>> {
        let Some((origin, text)) = self.text(name)? else { return Ok(None) };
        parse_document(&text, origin).map(Some)
    }

    /// The documents of the functions, by name; only the names where the snapshot has no more.
    ///
    /// # Errors
    /// As [`Catalog::document`].
    pub fn function_documents(&self) -> Result<Vec<Value>> {
        let text = match &self.source {
            #[cfg(feature = "builtin-schema")]
            Source::Builtin(builtin, _) => {
                builtin.functions.map(|text| (FUNCTIONS_FILE.to_owned(), text.to_owned()))
            }
            Source::Directory(dir, _) => {
                let path = dir.join(FUNCTIONS_FILE);
                path.is_file().then(|| Ok((path.display().to_string(), read(&path)?))).transpose()?
            }
        };
        let named = || self.index().functions.iter().map(|name| json!({"name": name})).collect();
        let Some((origin, text)) = text else { return Ok(named()) };
        match parse_document(&text, origin.clone())?.get_mut("functions").map(Value::take) {
            Some(Value::Array(functions)) => Ok(functions),
            _ => Err(Error::invalid(origin, "it has no list `functions`")),
        }
    }

    /// Where a class's document is, and its text. `None` if there is no class with exactly this public name.
    fn text(&self, name: &str) -> Result<Option<(String, Cow<'static, str>)>> {
        match &self.source {
            #[cfg(feature = "builtin-schema")]
            Source::Builtin(builtin, _) => {
                Ok(builtin.document(name).map(|text| (format!("{name}.json"), Cow::Borrowed(text))))
            }
            Source::Directory(dir, index) => {
                let Some(entry) = index.classes.get(name) else { return Ok(None) };
                let path = dir.join(&entry.file);
                let text = read(&path).map_err(|error| match error {
                    Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                        let problem = format!("it names `{}`, which is not there", entry.file);
                        Error::invalid(dir.join(INDEX_FILE).display().to_string(), problem)
                    }
                    other => other,
                })?;
                Ok(Some((path.display().to_string(), Cow::Owned(text))))
            }
        }
    }

    /// The public name of a class that is exported or defined under another path.
    fn resolve(&self, path: &str) -> Result<Option<String>> {
        match &self.source {
            #[cfg(feature = "builtin-schema")]
            Source::Builtin(builtin, _) => Ok(builtin.alias(path).map(str::to_owned)),
            Source::Directory(_, index) if !index.aliases.is_empty() => Ok(index.aliases.get(path).cloned()),
            Source::Directory(..) => {
                // Only the class files know the other paths.
                for class in self.classes() {
                    let class = class?;
                    if class.canonical == path || class.exports.iter().any(|export| export == path) {
                        return Ok(Some(class.name));
                    }
                }
                Ok(None)
            }
        }
    }
}

fn parse_document(text: &str, origin: String) -> Result<Value> {
    crate::index::check_format(text, &origin)?;
    serde_json::from_str(text).map_err(|source| Error::Malformed { origin, source })
}

pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(Error::io("read", path))
}
