//! The small transactions of the shared benchmark, through the public interface: 100,000 accounts with 500,000 transfers,
//! statements that were prepared once, one client.

use std::io::Write;
use std::time::Instant;

use quiredb::storage::engine::DurabilityMode;
use quiredb::{Connection, Database, Statement, params};

use crate::show;

const ACCOUNTS: u64 = 100_000;
const TRANSFERS: u64 = 500_000;
/// Operations of one workload, unless told otherwise.
const OPERATIONS: u64 = 20_000;

/// Numbers that look random and are the same in every run.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(2).wrapping_add(0x9E37_79B9_7F4A_7C15))
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

struct Client {
    connection: Connection,
    lookup: Statement,
    neighbours: Statement,
    update: Statement,
    insert_node: Statement,
    insert_rel: Statement,
    delete_node: Statement,
    dice: Dice,
    next: i64,
}

impl Client {
    fn account(&mut self) -> i64 {
        self.dice.below(ACCOUNTS) as i64
    }

    fn run(statement: &Statement, params: quiredb::Params) {
        std::hint::black_box(statement.execute_with(params).expect("a result"));
    }

    fn lookup(&mut self) {
        let id = self.account();
        Client::run(&self.lookup, params! { id: id });
    }

    fn neighbours(&mut self) {
        let id = self.account();
        Client::run(&self.neighbours, params! { id: id });
    }

    fn update(&mut self) {
        let (id, balance) = (self.account(), self.dice.below(10_000) as f64);
        Client::run(&self.update, params! { id: id, balance: balance });
    }

    fn insert_node(&mut self) {
        self.next += 1;
        let (name, balance) = (format!("new, \"{}\"", self.dice.below(1000)), self.dice.below(10_000) as f64);
        Client::run(&self.insert_node, params! { id: self.next, name: name, balance: balance });
    }

    fn insert_rel(&mut self) {
        let (a, b, amount) = (self.account(), self.account(), self.dice.below(500) as f64);
        Client::run(&self.insert_rel, params! { a: a, b: b, amount: amount });
    }

    fn delete_node(&mut self) {
        Client::run(&self.delete_node, params! { id: self.next });
        self.next -= 1;
    }

    fn update_in_transactions(&mut self) {
        self.connection.query("BEGIN TRANSACTION").expect("a transaction");
        (0..10).for_each(|_| self.update());
        self.connection.query("COMMIT").expect("a commit");
    }

    fn mixed(&mut self) {
        match self.dice.below(100) {
            0..70 => self.lookup(),
            70..85 => self.neighbours(),
            85..95 => self.update(),
            _ => self.insert_node(),
        }
    }
}

fn load(database: &Database, folder: &std::path::Path) {
    let connection = database.connect().expect("a connection");
    let mut dice = Dice::new(1);
    let file = |name: &str| {
        let path = folder.join(name);
        (std::io::BufWriter::new(std::fs::File::create(&path).expect("a file")), path)
    };
    let (mut accounts, accounts_path) = file("accounts.csv");
    writeln!(accounts, "id,name,balance,active").expect("a line");
    for id in 0..ACCOUNTS {
        writeln!(accounts, "{id},account number {id},{}.5,true", dice.below(10_000)).expect("a line");
    }
    let (mut transfers, transfers_path) = file("transfers.csv");
    writeln!(transfers, "from,to,amount").expect("a line");
    for _ in 0..TRANSFERS {
        let (from, to, amount) = (dice.below(ACCOUNTS), dice.below(ACCOUNTS), dice.below(500));
        writeln!(transfers, "{from},{to},{amount}.25").expect("a line");
    }
    drop((accounts, transfers));
    let account =
        "CREATE NODE TABLE Account(id INT64 PRIMARY KEY, name STRING, balance DOUBLE, active BOOLEAN)";
    for text in [
        account.to_owned(),
        "CREATE REL TABLE Transfer(FROM Account TO Account, amount DOUBLE)".to_owned(),
        format!("COPY Account FROM '{}' (HEADER=true)", accounts_path.display()),
        format!("COPY Transfer FROM '{}' (HEADER=true)", transfers_path.display()),
    ] {
        connection.query(&text).expect("a statement");
    }
}

/// A workload: its name, by what the number of operations is divided, and one operation.
type Workload = (&'static str, u64, fn(&mut Client));

const WORKLOADS: [Workload; 8] = [
    ("point_lookup", 1, Client::lookup),
    ("neighbours", 1, Client::neighbours),
    ("insert_node", 1, Client::insert_node),
    ("insert_rel", 1, Client::insert_rel),
    ("update", 1, Client::update),
    ("update_in_transactions", 10, Client::update_in_transactions),
    ("delete_node", 2, Client::delete_node),
    ("mixed", 1, Client::mixed),
];

/// The names of the workloads.
pub fn names() -> impl Iterator<Item = &'static str> {
    WORKLOADS.iter().map(|(name, ..)| *name)
}

/// Runs the workloads whose names have one of the words, all where there is no word.
pub fn run(mode: DurabilityMode, words: &[String], operations: Option<u64>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("db");
    let database = Database::builder().durability(mode).threads(2).open(&path).expect("a database");
    load(&database, folder.path());
    let connection = database.connect().expect("a connection");
    let prepare = |text: &str| connection.prepare(text).expect("a statement");
    let mut client = Client {
        lookup: prepare("MATCH (a:Account {id: $id}) RETURN a.name, a.balance"),
        neighbours: prepare(
            "MATCH (a:Account {id: $id})-[t:Transfer]->(b:Account) RETURN b.id, b.name, t.amount",
        ),
        update: prepare("MATCH (a:Account {id: $id}) SET a.balance = $balance"),
        insert_node: prepare("CREATE (:Account {id: $id, name: $name, balance: $balance, active: true})"),
        insert_rel: prepare(
            "MATCH (a:Account {id: $a}), (b:Account {id: $b}) CREATE (a)-[:Transfer {amount: $amount}]->(b)",
        ),
        delete_node: prepare("MATCH (a:Account {id: $id}) DELETE a"),
        dice: Dice::new(7),
        next: 10 * ACCOUNTS as i64,
        connection,
    };
    for (name, divisor, operation) in WORKLOADS {
        if !words.is_empty() && !words.iter().any(|word| name == word.as_str()) {
            continue;
        }
        let disk = if mode == DurabilityMode::Strict { 10 } else { 1 };
        let count = (operations.unwrap_or(OPERATIONS / disk) / divisor).max(1);
        let mut times = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let started = Instant::now();
            operation(&mut client);
            times.push(started.elapsed().as_nanos() as f64 / 1e3);
        }
        let rate = count as f64 / times.iter().sum::<f64>() * 1e6;
        times.sort_by(f64::total_cmp);
        let (median, late) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        show(&format!("{mode:?}, {name} (median {median:.1} µs, 99th percentile {late:.1} µs)"), rate, "/s");
    }
}
