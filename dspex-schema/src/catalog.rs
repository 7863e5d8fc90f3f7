//! Looking classes up: in the built-in snapshot or in a directory.

use std::fs;
use std::path::{Path, PathBuf};
#[cfg(feature = "builtin-schema")]
use std::sync::LazyLock;

use crate::index::INDEX_FILE;
use crate::{Class, Error, Index, Result, closest_path};

/// A snapshot that classes can be looked up in.
#[derive(Clone, Debug)]
pub struct Catalog {
    index: Index,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    #[cfg(feature = "builtin-schema")]
    Builtin,
    Directory(PathBuf),
}

impl Catalog {
    /// The snapshot that comes with this release. Its index is read once per process; it cannot change.
    ///
    /// # Panics
    /// Never: the embedded index is checked by this crate's tests.
    #[cfg(feature = "builtin-schema")]
    #[allow(clippy::expect_used, reason = "the text is part of this crate and a test reads it")]
    pub fn builtin() -> &'static Self {
        static BUILTIN: LazyLock<Catalog> = LazyLock::new(|| {
            let index = Index::parse(crate::builtin::INDEX, "the built-in index");
            Catalog { index: index.expect("the built-in index is valid"), source: Source::Builtin }
        });
        &BUILTIN
    }

    /// The release of DSPy that [`Catalog::builtin`] describes.
    #[cfg(feature = "builtin-schema")]
    pub const BUILTIN_DSPY: &'static str = crate::builtin::DSPY;

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
        Ok(Self { index, source: Source::Directory(dir) })
    }

    /// The index: names, files and fingerprints.
    pub fn index(&self) -> &Index {
        &self.index
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
        closest_path(path, self.index.classes.keys().map(String::as_str))
    }

    /// Every class, by name.
    ///
    /// # Errors
    /// As [`Catalog::get`].
    pub fn classes(&self) -> impl Iterator<Item = Result<Class>> + '_ {
        self.index.classes.keys().filter_map(|name| self.load(name).transpose())
    }

    /// Reads the class with exactly this public name.
    fn load(&self, name: &str) -> Result<Option<Class>> {
        let Some(entry) = self.index.classes.get(name) else { return Ok(None) };
        let (origin, class) = match &self.source {
            #[cfg(feature = "builtin-schema")]
            Source::Builtin => {
                let text = crate::builtin::document(name).ok_or_else(|| {
                    Error::invalid("the built-in index", format!("`{name}` has no document"))
                })?;
                (entry.file.clone(), Class::parse(text, &entry.file)?)
            }
            Source::Directory(dir) => {
                let path = dir.join(&entry.file);
                let origin = path.display().to_string();
                let class = Class::parse(&read(&path)?, &origin)?;
                (origin, class)
            }
        };
        if class.name != name {
            return Err(Error::invalid(origin, format!("it describes `{}`, not `{name}`", class.name)));
        }
        if class.abi_sha256 != entry.abi_sha256 {
            return Err(Error::Mismatch {
                file: origin,
                expected: entry.abi_sha256.clone(),
                found: class.abi_sha256,
            });
        }
        Ok(Some(class))
    }

    /// The public name of a class that is exported or defined under another path.
    fn resolve(&self, path: &str) -> Result<Option<String>> {
        match &self.source {
            #[cfg(feature = "builtin-schema")]
            Source::Builtin => Ok(crate::builtin::alias(path).map(str::to_owned)),
            Source::Directory(_) => {
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

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(Error::io("read", path))
}
