//! Files that speak of the host, or that would change it.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};

use crate::{Answer, Trial, call, number, numeric};

pub const TRIALS: &[Trial] = &[
    // Opens each of the paths to write, and writes nothing.
    ("open_write", |arguments| first_open(arguments, true)),
    // Reads a byte of each of the paths.
    ("open_read", |arguments| first_open(arguments, false)),
    // The mode's kind of node: 24576 for a block device, 8192 for a character device.
    ("mknodat", |arguments| {
        let mode = numeric(arguments, 0) | 0o600;
        let path = c"./trial-node".as_ptr();
        let made = call!(libc::SYS_mknodat, libc::AT_FDCWD, path, mode, libc::makedev(254, 0));
        // SAFETY: a constant path.
        unsafe { libc::unlink(path) };
        made
    }),
    // Writes the first argument, with spaces for underscores, to the file that the second names, at once and whole.
    ("write", |arguments| {
        let [text, path] = [0, 1].map(|index| arguments.get(index).map_or("", String::as_str));
        let file = OpenOptions::new().write(true).open(path);
        let written = file.and_then(|mut file| file.write_all(text.replace('_', " ").as_bytes()));
        written.map(|()| path.to_owned()).map_err(|error| number(&error))
    }),
];

/// The first that can be opened; else why the last could not. What is masked with the null device
/// or reads as empty is as good as absent.
fn first_open(paths: &[String], write: bool) -> Answer {
    let mut refused = libc::ENOENT;
    for path in paths {
        let flags = libc::O_NOCTTY | libc::O_NONBLOCK;
        let opened = OpenOptions::new().read(!write).write(write).custom_flags(flags).open(path);
        match opened {
            Err(error) => refused = number(&error),
            Ok(file) if is_null(&file) => {}
            Ok(_) if write => return Ok(path.clone()),
            Ok(mut file) => match file.read(&mut [0; 1]) {
                Ok(1..) => return Ok(path.clone()),
                Ok(_) => refused = libc::ENODATA,
                Err(error) => refused = number(&error),
            },
        }
    }
    Err(refused)
}

fn is_null(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.rdev() == libc::makedev(1, 3))
}
