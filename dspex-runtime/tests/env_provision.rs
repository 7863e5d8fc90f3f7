//! Building an environment from a lock and finding it again, with either installer, from one process or many.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod env_support;
#[path = "../../tests/common/process.rs"]
mod process;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use dspex_runtime::pool::env::{EnvConfig, Environment, Installer, Progress, ProgressEvent};
use env_support::{Ended, Place, child_of, installers, real_python, wait_until};

fn says(python: &Path, code: &str) -> String {
    let output = Command::new(python).args(["-I", "-c", code]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn an_environment_is_built_once_and_found_again() {
    for installer in installers() {
        let place = Place::new();
        let lock = place.wheels(&["tinydep==1.0"]);
        let config = place.config(&lock, installer);

        let first = Environment::provision(&config).unwrap();
        assert!(first.built && first.provisioned);
        assert_eq!(says(&first.python, "import tinydep; tinydep.main()"), "tinydep 1.0");
        let version = says(&first.python, "import platform; print(platform.python_version())");
        assert_eq!(version, first.python_version.to_string());

        let second = Environment::provision(&config).unwrap();
        assert!(!second.built);
        assert_eq!((&second.python, &second.worker_dir), (&first.python, &first.worker_dir));
        assert_eq!(place.environments().len(), 1);
    }
}

#[test]
fn a_start_with_a_complete_environment_runs_no_python() {
    let place = Place::new();
    let lock = place.wheels(&["tinydep==1.0"]);
    let log = place.path("runs");
    let python = real_python();
    place.program("python3", &format!("echo search >> {}\nexec {} \"$@\"", log.display(), python.display()));
    let config = place.config(&lock, Installer::Pip);
    let runs = || fs::read_to_string(&log).unwrap_or_default();

    let environment = Environment::provision(&config).unwrap();
    assert_eq!(runs(), "search\n");
    // From here on the environment's own interpreter would tell as well.
    fs::remove_file(&environment.python).unwrap();
    let told = place.program("told", &format!("echo environment >> {}", log.display()));
    fs::rename(told, &environment.python).unwrap();
    assert!(!Environment::provision(&config).unwrap().built);
    assert_eq!(runs(), "search\n");
}

#[test]
fn scripts_of_packages_work_where_the_environment_ended_up() {
    for installer in installers() {
        let place = Place::new();
        let lock = place.wheels(&["tinydep==1.0"]);
        let environment = Environment::provision(&place.config(&lock, installer)).unwrap();
        let script = environment.python.with_file_name("tinydep");
        let output = Command::new(script).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "tinydep 1.0");
    }
}

#[test]
fn bytecode_is_there_after_the_build_whatever_the_user_set() {
    for installer in installers() {
        let place = Place::new();
        let lock = place.wheels(&["tinydep==1.0"]);
        let config = place.config(&lock, installer).var("PYTHONDONTWRITEBYTECODE", "1");
        let environment = Environment::provision(&config).unwrap();
        let cached = says(&environment.python, "import importlib.util, tinydep; print(tinydep.__cached__)");
        assert!(Path::new(&cached).is_file(), "{cached}");
        let run = environment.worker_dir.join("__pycache__");
        assert!(fs::read_dir(run).unwrap().count() > 0, "the worker is compiled too");
    }
}

#[test]
fn settings_that_would_change_what_is_installed_do_no_harm() {
    for installer in installers() {
        let place = Place::new();
        let lock = place.wheels(&["tinydep==1.0", "tinydep==2.0"]);
        let lock = lock.split("tinydep==2.0").next().unwrap();
        let pip_conf = place.path("pip.conf");
        fs::write(&pip_conf, "[install]\nuser = true\n").unwrap();
        let constraint = place.path("constraint.txt");
        fs::write(&constraint, "tinydep==2.0\n").unwrap();
        let broken = place.path("broken");
        fs::create_dir(&broken).unwrap();
        fs::write(broken.join("tinydep.py"), "raise RuntimeError('shadowed')").unwrap();
        fs::write(broken.join("sitecustomize.py"), "raise SystemExit(1)").unwrap();
        let config = place
            .config(lock, installer)
            .var("PIP_CONFIG_FILE", &pip_conf)
            .var("PIP_USER", "1")
            .var("PIP_TARGET", place.path("elsewhere"))
            .var("PIP_CONSTRAINT", &constraint)
            .var("UV_CONSTRAINT", &constraint)
            .var("UV_SYSTEM_PYTHON", "1")
            .var("VIRTUAL_ENV", place.path("elsewhere"))
            .var("PYTHONHOME", place.path("elsewhere"))
            .var("PYTHONPATH", &broken);
        let environment = Environment::provision(&config).unwrap();
        assert_eq!(says(&environment.python, "import tinydep; tinydep.main()"), "tinydep 1.0");
        assert!(!place.path("elsewhere").exists());
    }
}

#[test]
fn another_lock_gets_another_environment_and_leaves_the_first_alone() {
    let place = Place::new();
    let one = place.wheels(&["tinydep==1.0"]);
    let two = place.wheels(&["tinydep==2.0"]);
    let first = Environment::provision(&place.config(&one, Installer::Auto)).unwrap();
    let second = Environment::provision(&place.config(&two, Installer::Auto)).unwrap();
    assert_eq!(says(&first.python, "import tinydep; tinydep.main()"), "tinydep 1.0");
    assert_eq!(says(&second.python, "import tinydep; tinydep.main()"), "tinydep 2.0");
    assert_eq!(place.environments().len(), 2);
}

#[test]
fn an_unsuitable_default_python_is_passed_over_for_a_suitable_one() {
    let place = Place::new();
    let lock = place.wheels(&["tinydep==1.0"]);
    place.program("python3", "echo 'Python 2.7.18'; exit 2");
    let python = real_python();
    place.program("python3.13", &format!("exec {} \"$@\"", python.display()));
    assert!(Environment::provision(&place.config(&lock, Installer::Auto)).unwrap().built);
}

#[test]
fn where_uv_cannot_reach_the_index_pip_is_tried() {
    let place = Place::new();
    let lock = place.wheels(&["tinydep==1.0"]);
    place.program(
        "uv",
        "case \"$1\" in --version) echo 'uv 99.0.0'; exit;; venv) exit 0;; esac\n\
         echo 'error: Failed to fetch: `https://index.invalid/simple/tinydep/`' >&2\n\
         echo '  cause: invalid peer certificate: UnknownIssuer' >&2; exit 2",
    );
    let environment = Environment::provision(&place.config(&lock, Installer::Auto)).unwrap();
    assert_eq!(says(&environment.python, "import tinydep; tinydep.main()"), "tinydep 1.0");
    assert_eq!(place.environments().len(), 1, "the failed attempt is gone");
}

#[test]
fn progress_is_told_in_sentences_and_packages_and_only_while_building() {
    let place = Place::new();
    let lock = place.wheels(&["tinydep==1.0"]);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&heard);
    let config = place.config(&lock, Installer::Pip).progress(Progress::Custom(Arc::new(move |event| {
        sink.lock().unwrap().push(match event {
            ProgressEvent::Package { name, done, total } => format!("{name} {done}/{total}"),
            ProgressEvent::Step(step) => step.to_owned(),
            _ => String::new(),
        });
    })));
    Environment::provision(&config).unwrap();
    let steps = std::mem::take(&mut *heard.lock().unwrap());
    assert!(steps.contains(&"tinydep 1/1".to_owned()), "{steps:?}");
    assert!(steps.first().unwrap().starts_with("building the Python environment in "), "{steps:?}");
    assert!(steps.last().unwrap().starts_with("the Python environment is ready after "), "{steps:?}");

    Environment::provision(&config).unwrap();
    assert!(heard.lock().unwrap().is_empty());
}

#[test]
fn a_damaged_worker_directory_is_unpacked_anew() {
    let place = Place::new();
    let lock = place.wheels(&["tinydep==1.0"]);
    let config = place.config(&lock, Installer::Auto);
    let environment = Environment::provision(&config).unwrap();
    let entry = environment.entry();
    let content = fs::read(&entry).unwrap();
    fs::remove_file(&entry).unwrap();
    assert_eq!(Environment::provision(&config).unwrap().worker_dir, environment.worker_dir);
    assert_eq!(fs::read(&entry).unwrap(), content);
}

/// What a child process of a test does: it provisions in the place that its parent made.
fn provision_as_child(installer: Installer) -> Option<()> {
    let place = PathBuf::from(std::env::var_os("DSPEX_TEST_PLACE")?);
    let config = EnvConfig::new()
        .lock(fs::read_to_string(place.join("lock")).unwrap())
        .cache_dir(place.join("cache"))
        .installer(installer)
        .progress(Progress::Lines);
    let environment = Environment::provision(&config).unwrap();
    fs::write(
        place.join(format!("result.{}", std::env::var("DSPEX_TEST_CHILD").unwrap())),
        format!("{} {}", environment.built, environment.python.display()),
    )
    .unwrap();
    Some(())
}

#[test]
fn of_two_processes_one_builds_and_both_get_the_same_environment() {
    if provision_as_child(Installer::Pip).is_some() {
        return;
    }
    let place = Place::new();
    let lock = place.wheels(&["tinydep==1.0"]);
    fs::write(place.path("lock"), lock).unwrap();
    let children: Vec<_> = ["one", "two"]
        .map(|role| {
            let test = "of_two_processes_one_builds_and_both_get_the_same_environment";
            let mut command = child_of(test, role, &place.path(""));
            let command =
                command.envs(place.vars(Installer::Pip)).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .into_iter()
        .map(|child| child.wait_with_output().unwrap())
        .collect();
    let said: Vec<_> =
        children.iter().map(|output| String::from_utf8_lossy(&output.stderr).into_owned()).collect();
    assert!(children.iter().all(|output| output.status.success()), "{said:?}");

    let mut results =
        ["one", "two"].map(|role| fs::read_to_string(place.path(&format!("result.{role}"))).unwrap());
    results.sort();
    let (waited, built) = (results[0].split_once(' ').unwrap(), results[1].split_once(' ').unwrap());
    assert_eq!((waited.0, built.0), ("false", "true"));
    assert_eq!(waited.1, built.1);
    assert_eq!(place.environments().len(), 1);
}

#[test]
fn a_builder_that_is_killed_leaves_nothing_in_the_way() {
    if provision_as_child(Installer::Uv).is_some() {
        return;
    }
    let place = Place::new();
    let lock = place.wheels(&["tinydep==1.0"]);
    fs::write(place.path("lock"), &lock).unwrap();
    // An installer that gets stuck half-way: it leaves something behind and then waits for the end of its parent.
    let stuck = place.path("stuck");
    place.program(
        "uv",
        &format!(
            "case \"$1\" in --version) echo 'uv 99.0.0'; exit;; esac\n\
             for last; do :; done; mkdir -p \"$last/bin\"; echo $$ > {stuck}.new; mv {stuck}.new {stuck}\n\
             exec sleep 300",
            stuck = stuck.display()
        ),
    );
    let test = "a_builder_that_is_killed_leaves_nothing_in_the_way";
    let mut command = child_of(test, "killed", &place.path(""));
    let command = command.envs(place.vars(Installer::Pip)).stdout(Stdio::null()).stderr(Stdio::null());
    let mut builder = Ended(command.spawn().unwrap());
    wait_until("the build", || stuck.exists());
    assert!(place.environments().iter().all(|name| name.starts_with('.')), "{:?}", place.environments());
    builder.0.kill().unwrap();
    builder.0.wait().unwrap();
    let installer: u32 = fs::read_to_string(&stuck).unwrap().trim().parse().unwrap();
    wait_until("the installer's end with its builder", || !process::is_alive(installer));

    let environment = Environment::provision(&place.config(&lock, Installer::Pip)).unwrap();
    assert_eq!(says(&environment.python, "import tinydep; tinydep.main()"), "tinydep 1.0");
    assert!(place.environments().iter().all(|name| !name.starts_with('.')), "{:?}", place.environments());
}
