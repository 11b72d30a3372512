//! How much can be had: each stops at a bound of its own, given as the argument.

use std::fs::{self, File};
use std::io::Write as _;
use std::time::Duration;

use crate::{Answer, Trial, errno, number, numeric};

pub const TRIALS: &[Trial] = &[
    ("processes", |arguments| {
        let most = count(arguments, 0);
        let mut children = Vec::new();
        let mut refused = None;
        while children.len() < most {
            // SAFETY: the child only waits for its end.
            match unsafe { libc::fork() } {
                0 => loop {
                    std::thread::sleep(Duration::from_mins(1));
                },
                child if child < 0 => {
                    refused = Some(errno());
                    break;
                }
                child => children.push(child),
            }
        }
        for child in &children {
            // SAFETY: our own children.
            unsafe {
                libc::kill(*child, libc::SIGKILL);
                libc::waitpid(*child, std::ptr::null_mut(), 0);
            }
        }
        Ok(stopped(children.len(), refused))
    }),
    ("threads", |arguments| {
        let most = count(arguments, 0);
        let mut made = 0;
        let mut refused = None;
        while made < most {
            let thread = std::thread::Builder::new().stack_size(16 * 1024);
            match thread.spawn(|| std::thread::sleep(Duration::from_mins(1))) {
                Ok(_) => made += 1,
                Err(error) => {
                    refused = Some(number(&error));
                    break;
                }
            }
        }
        Ok(stopped(made, refused))
    }),
    ("open_files", |arguments| {
        let most = count(arguments, 0);
        let mut files = Vec::new();
        let mut refused = None;
        while files.len() < most {
            match File::open("/dev/null") {
                Ok(file) => files.push(file),
                Err(error) => {
                    refused = Some(number(&error));
                    break;
                }
            }
        }
        Ok(stopped(files.len(), refused))
    }),
    // Mebibytes, touched slowly enough for a look each 250 ms.
    ("memory", |arguments| {
        let most = count(arguments, 0);
        let mut held: Vec<Vec<u8>> = Vec::new();
        while held.len() * 16 < most {
            held.push(vec![1; 16 << 20]);
            println!("{} MiB", held.len() * 16);
            let _ = std::io::stdout().flush();
            std::thread::sleep(Duration::from_millis(8));
        }
        Ok(format!("had {} MiB", held.len() * 16))
    }),
    // A directory, then mebibytes.
    ("fill", |arguments| {
        let directory = arguments.first().cloned().unwrap_or_default();
        let most = count(arguments, 1);
        let piece = vec![1; 1 << 20];
        let path = format!("{directory}/trial-fill");
        let mut had = 0;
        let mut refused = None;
        if let Ok(mut file) = File::create(&path) {
            while had < most {
                if let Err(error) = file.write_all(&piece) {
                    refused = Some(number(&error));
                    break;
                }
                had += 1;
            }
        }
        let _ = fs::remove_file(path);
        Ok(stopped(had, refused))
    }),
    // A directory, then a number of files.
    ("files", |arguments| {
        let directory = arguments.first().cloned().unwrap_or_default();
        let most = count(arguments, 1);
        let mut made = 0;
        let mut refused = None;
        while made < most {
            if let Err(error) = File::create(format!("{directory}/trial-{made}")) {
                refused = Some(number(&error));
                break;
            }
            made += 1;
        }
        for file in 0..made {
            let _ = fs::remove_file(format!("{directory}/trial-{file}"));
        }
        Ok(stopped(made, refused))
    }),
    // One file of so many mebibytes at once.
    ("one_file", |arguments| {
        let bytes = numeric(arguments, 0) << 20;
        let made: Answer = File::create("./trial-file")
            .and_then(|file| file.set_len(bytes.cast_unsigned()))
            .map(|()| "made".to_owned())
            .map_err(|error| number(&error));
        let _ = fs::remove_file("./trial-file");
        made
    }),
];

fn count(arguments: &[String], index: usize) -> usize {
    usize::try_from(numeric(arguments, index)).unwrap_or(0)
}

/// How many were had, and what stopped it; 0 where nothing did.
fn stopped(had: usize, refused: Option<i32>) -> String {
    format!("{had} {}", refused.unwrap_or(0))
}
