//! Data where none are given: like those of the shared benchmark in shape and size, the same in every run.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// A small generator (splitmix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// A number below `bound`, which is small against 2⁶⁴.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// A number below `bound`; small ones come more often, the more so the higher `power` is.
    pub fn skewed(&mut self, bound: u64, power: i32) -> u64 {
        let share = self.below(1 << 53) as f64 / (1_u64 << 53) as f64;
        ((share.powi(power) * bound as f64) as u64).min(bound - 1)
    }
}

/// Writes a CSV file line by line.
pub fn write(file: &Path, head: &str, lines: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) {
    let write = || {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(file)?);
        writeln!(out, "{head}")?;
        lines(&mut out)?;
        out.flush()
    };
    write().unwrap_or_else(|error| panic!("{file:?}: {error}"));
}

/// Writes the files of a data set that the gates read.
pub fn suite(name: &str, folder: &Path) {
    match name {
        "study-1" => study(folder),
        "lsqb-0.3" => lsqb(folder),
        "paths-1" => paths(folder),
        _ => panic!("no data set {name}"),
    }
}

fn study(folder: &Path) {
    const PEOPLE: u64 = 100_000;
    let mut random = Random::new(1);
    write(&folder.join("persons.csv"), "id,name,gender,birthday,age,isMarried", |out| {
        for id in 1..=PEOPLE {
            let (age, gender) = (18 + random.below(48), ["female", "male"][(id % 2) as usize]);
            let (day, married) = (1 + random.below(28), id % 3 == 0);
            let birthday = format!("{}-05-{day:02}", 2024 - age);
            writeln!(out, "{id},Person Number {},{gender},{birthday},{age},{married}", random.below(90_000))?;
        }
        Ok(())
    });
    write(&folder.join("follows.csv"), "from,to", |out| {
        for _ in 0..2_331_299 {
            let (from, to) = (random.below(PEOPLE), random.skewed(PEOPLE, 2));
            // Nobody follows themselves.
            writeln!(out, "{},{}", 1 + from, 1 + if from == to { (to + 1) % PEOPLE } else { to })?;
        }
        Ok(())
    });
}

fn lsqb(folder: &Path) {
    const PEOPLE: u64 = 3_685;
    const TAGS: u64 = 16_080;
    const FORUMS: u64 = 33_717;
    const POSTS: u64 = 301_080;
    const COMMENTS: u64 = 615_600;
    let mut random = Random::new(2);
    let key = |number: u64| number * 149_206_721 % (1 << 40);
    let keys = |name: &str, count: u64| {
        write(&folder.join(format!("{name}.csv")), "id", |out| {
            (0..count).try_for_each(|number| writeln!(out, "{}", key(number)))
        });
    };
    let forums = [("Forum", FORUMS), ("Post", POSTS), ("Comment", COMMENTS)];
    for (name, count) in [("Person", PEOPLE), ("Tag", TAGS)].into_iter().chain(forums) {
        keys(name, count);
    }
    write(&folder.join("Person_knows_Person.csv"), "from,to", |out| {
        // Friendships are stored both ways.
        for _ in 0..93_984 / 2 {
            let (one, other) = (random.skewed(PEOPLE, 2), random.skewed(PEOPLE, 2));
            if one != other {
                let (one, other) = (key(one), key(other));
                writeln!(out, "{one},{other}\n{other},{one}")?;
            }
        }
        Ok(())
    });
    write(&folder.join("Person_hasInterest_Tag.csv"), "from,to", |out| {
        for _ in 0..78_549 {
            writeln!(out, "{},{}", key(random.below(PEOPLE)), key(random.skewed(TAGS, 3)))?;
        }
        Ok(())
    });
    write(&folder.join("Forum_hasMember_Person.csv"), "from,to", |out| {
        for _ in 0..483_600 {
            writeln!(out, "{},{}", key(random.skewed(FORUMS, 2)), key(random.below(PEOPLE)))?;
        }
        Ok(())
    });
    write(&folder.join("Forum_containerOf_Post.csv"), "from,to", |out| {
        (0..POSTS).try_for_each(|post| writeln!(out, "{},{}", key(random.skewed(FORUMS, 2)), key(post)))
    });
    write(&folder.join("Comment_replyOf_Post.csv"), "from,to", |out| {
        // Every second comment is about another comment.
        (0..COMMENTS / 2)
            .try_for_each(|comment| writeln!(out, "{},{}", key(comment * 2), key(random.skewed(POSTS, 2))))
    });
    write(&folder.join("Comment_hasTag_Tag.csv"), "from,to", |out| {
        for _ in 0..781_362 {
            writeln!(out, "{},{}", key(random.below(COMMENTS)), key(random.skewed(TAGS, 3)))?;
        }
        Ok(())
    });
}

fn paths(folder: &Path) {
    const LEVELS: u32 = 17;
    const BASE: u64 = 1 << 33;
    let mut random = Random::new(3);
    write(&folder.join("Node.csv"), "id,grp", |out| {
        (0..1 << LEVELS).try_for_each(|node| writeln!(out, "{},{}", BASE + node, random.below(10)))
    });
    let mut random = Random::new(4);
    write(&folder.join("Edge.csv"), "from,to,weight", |out| {
        for _ in 0..2_000_000 {
            // Each step picks one of four quarters of the matrix of edges, not equally often.
            let (mut from, mut to) = (0_u64, 0_u64);
            for _ in 0..LEVELS {
                let (down, right) = match random.below(100) {
                    0..57 => (0, 0),
                    57..76 => (0, 1),
                    76..95 => (1, 0),
                    _ => (1, 1),
                };
                (from, to) = (from * 2 + down, to * 2 + right);
            }
            // No edge leads back to where it starts.
            to = if from == to { to ^ 1 } else { to };
            let weight = 100 + random.below(9_900);
            writeln!(out, "{},{},{}.{:03}", BASE + from, BASE + to, weight / 1000, weight % 1000)?;
        }
        Ok(())
    });
}
