//! A PostgreSQL server for tests: of its own for each test process, on a socket in a directory that goes with it.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Names the directory of `initdb` and `postgres`; `cargo xtask test` sets it.
const BIN: &str = "DSPEX_TEST_POSTGRES_BIN";

/// PostgreSQL does not run as root, and these are nobody's rights on every Unix.
const NOBODY: u32 = 65534;

/// Whether files that are made here are root's.
fn root(directory: &Path) -> bool {
    fs::metadata(directory).is_ok_and(|metadata| metadata.uid() == 0)
}

/// The directory of the programs.
fn programs() -> PathBuf {
    let named = std::env::var_os(BIN).map(PathBuf::from);
    named.or_else(on_path).unwrap_or_else(|| {
        panic!("there is no PostgreSQL; run `cargo xtask test`, or set {BIN} to the directory of `initdb` and `postgres`")
    })
}

fn on_path() -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .find(|directory| directory.join("initdb").is_file() && directory.join("postgres").is_file())
}

/// Whether everybody may go there.
fn open_to_all(path: &Path) -> bool {
    path.ancestors().all(|part| fs::metadata(part).is_ok_and(|data| data.permissions().mode() & 0o001 != 0))
}

/// Copies a directory with everything in it, and keeps to whom it belongs.
fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).output().unwrap();
    assert!(done.status.success(), "copying: {}", String::from_utf8_lossy(&done.stderr));
}

/// Where copied programs are in a template.
const COPY: &str = "programs/postgres/bin";

/// Copies the whole installation that programs belong to, as they look for their files beside them. Those of a wheel look for their
/// libraries beside its package, three directories above.
fn copy_of(programs: &Path, directory: &Path) -> PathBuf {
    let installation = programs.parent().unwrap();
    fs::create_dir(directory.join("programs")).unwrap();
    copy(installation, &directory.join("programs/postgres"));
    if let Some(package) = installation.parent() {
        let mut libraries = package.as_os_str().to_owned();
        libraries.push(".libs");
        let libraries = PathBuf::from(libraries);
        if libraries.is_dir() {
            copy(&libraries, &directory.join(libraries.file_name().unwrap()));
        }
    }
    directory.join(COPY)
}

/// What servers begin with, as `initdb` takes a second: `data`, and `programs` where root's cannot be used.
struct Template {
    directory: PathBuf,
    programs: PathBuf,
    nobody: bool,
}

impl Template {
    /// The one of the build directory, made where it is not there.
    fn ready() -> Self {
        let programs = programs();
        let mut base = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let nobody = root(&base);
        if nobody && !open_to_all(&base) {
            base = std::env::temp_dir();
        }
        let mut hasher = DefaultHasher::new();
        (&programs, nobody, COPY).hash(&mut hasher);
        let directory = base.join(format!("dspex-postgres-{:016x}", hasher.finish()));
        if !directory.is_dir() {
            let making = tempfile::Builder::new().prefix("dspex-postgres-").tempdir_in(&base).unwrap();
            Self::make(making.path(), &programs, nobody);
            // Whoever was faster made the same one.
            if fs::rename(making.path(), &directory).is_ok() {
                let _ = making.keep();
            }
        }
        let copied = directory.join(COPY);
        Self { programs: if copied.is_dir() { copied } else { programs }, directory, nobody }
    }

    fn make(directory: &Path, programs: &Path, nobody: bool) {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
        let mut programs = programs.to_owned();
        if nobody {
            chown(directory, Some(NOBODY), Some(NOBODY)).unwrap();
            if !open_to_all(&programs) {
                programs = copy_of(&programs, directory);
            }
        }
        let mut initdb = command(&programs.join("initdb"), directory, nobody);
        initdb.args(["--username=dspex", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        initdb.args(["--no-instructions", "--wal-segsize=1", "-D"]).arg(directory.join("data"));
        let done = initdb.output().unwrap();
        assert!(done.status.success(), "initdb: {}", String::from_utf8_lossy(&done.stderr));
    }
}

fn command(program: &Path, directory: &Path, nobody: bool) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory).env_clear().stdin(Stdio::null());
    if nobody {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// A server that ends with this value.
pub struct Server {
    directory: TempDir,
    template: Template,
    child: Mutex<Option<Child>>,
    schemas: AtomicU32,
}

impl Server {
    /// A server of one's own, for tests that end it.
    pub fn start() -> Self {
        let template = Template::ready();
        let directory = tempfile::Builder::new().prefix("dspex-pg-").tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        if template.nobody {
            chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        copy(&template.directory.join("data"), &directory.path().join("data"));
        let server = Self { directory, template, child: Mutex::new(None), schemas: AtomicU32::new(0) };
        server.restart();
        server
    }

    /// The server that all tests of a process share.
    pub fn shared() -> Arc<Self> {
        static SHARED: LazyLock<Mutex<std::sync::Weak<Server>>> = LazyLock::new(Mutex::default);
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start());
            *shared = Arc::downgrade(&server);
            server
        })
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Starts the server, again and again while the memory of one that was killed is still in use.
    pub fn restart(&self) {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let log = fs::File::options().create(true).append(true).open(self.log()).unwrap();
            let program = self.template.programs.join("postgres");
            let mut postgres = command(&program, self.directory.path(), self.template.nobody);
            postgres.arg("-D").arg(self.data()).arg("-k").arg(self.directory.path());
            // What a killed server wrote is in the system's memory: only a loss of power would miss the waiting for the disk.
            for setting in ["listen_addresses=", "max_connections=60", "shared_buffers=16MB", "fsync=off"] {
                postgres.arg("-c").arg(setting);
            }
            let mut child = postgres.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
            while child.try_wait().unwrap().is_none() {
                if self.accepts() {
                    *self.child.lock().unwrap() = Some(child);
                    return;
                }
                assert!(Instant::now() < until, "PostgreSQL does not start: {}", self.last_words());
                std::thread::sleep(Duration::from_millis(20));
            }
            assert!(Instant::now() < until, "PostgreSQL does not start: {}", self.last_words());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Whether it is up: the first bytes of an answer to a request for encryption.
    fn accepts(&self) -> bool {
        use std::io::Write;
        let ready = fs::read_to_string(self.data().join("postmaster.pid"));
        if !ready.is_ok_and(|text| text.lines().nth(7).is_some_and(|state| state.trim() == "ready")) {
            return false;
        }
        let Ok(mut socket) = UnixStream::connect(self.directory.path().join(".s.PGSQL.5432")) else {
            return false;
        };
        let asked = socket.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]);
        asked.is_ok() && socket.read_exact(&mut [0]).is_ok()
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    fn last_words(&self) -> String {
        let mut text = String::new();
        if let Ok(mut file) = fs::File::open(self.log()) {
            let length = file.metadata().map_or(0, |data| data.len());
            let _ = file.seek(SeekFrom::Start(length.saturating_sub(2000)));
            let _ = file.read_to_string(&mut text);
        }
        text
    }

    /// Kills the server with SIGKILL; its back-ends notice by themselves.
    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        format!("postgres://dspex:sesame@localhost/postgres?host={}", self.directory.path().display())
    }

    /// A schema that nobody used before.
    pub fn schema(&self) -> String {
        format!("s{}", self.schemas.fetch_add(1, Ordering::Relaxed))
    }

    /// Runs SQL.
    pub async fn sql(&self, sql: &'static str) {
        use sqlx::{Connection, PgConnection};
        let mut connection = PgConnection::connect(&self.url()).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(mut child) = self.child.lock().ok().and_then(|mut child| child.take()) else { return };
        // SIGINT is its fast shutdown, in which it ends its back-ends too; nothing in it is worth waiting long for.
        let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until && matches!(child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}
