//! One person by key, and whom the person follows.

use std::collections::HashMap;
use std::time::Duration;

use quiredb::params;

use super::by_hand::Lists;
use super::data::{Place, connection, copy, database, edges, numbers, places};
use super::graphs::{FOLLOWS, PERSON};
use super::made::Random;
use super::measure::{Bench, Limit, timed};

/// Lookups that are timed together.
const AT_ONCE: usize = 200;

pub fn lookups(bench: &mut Bench, place: &Place) {
    if !bench.wants_any(&["lookup"]) {
        return;
    }
    let files = place.suite("study-1");
    let database = database(&place.path("lookup"));
    let connection = connection(&database, 1);
    copy(&connection, PERSON, "Person", &files.join("persons.csv"));
    copy(&connection, FOLLOWS, "Follows", &files.join("follows.csv"));
    let [ids] = numbers(&files.join("persons.csv"), [0]);
    let names: HashMap<i64, String> = csv::Reader::from_path(files.join("persons.csv"))
        .expect("a file")
        .records()
        .zip(&ids)
        .map(|(record, id)| (*id, record.expect("a record")[1].to_owned()))
        .collect();
    let places = places(&ids);
    let (from, to) = edges(&files.join("follows.csv"), &places, &places);
    let follows = Lists::new(ids.len(), &from, &to);

    let mut random = Random::new(7);
    let picked: Vec<i64> = (0..1 << 14).map(|_| ids[random.below(ids.len() as u64) as usize]).collect();
    // Both sides go through the same keys, each at its own pace.
    let (mut ours_at, mut theirs_at) = (0, 0);
    let next = |at: &mut usize| {
        *at = (*at + AT_ONCE) % (picked.len() - AT_ONCE);
        &picked[*at..*at + AT_ONCE]
    };
    let each = |(time, answer): (Duration, u64)| (time / AT_ONCE as u32, answer);

    let by_key = connection.prepare("MATCH (n:Person {id: $id}) RETURN n.name").expect("a statement");
    let ours = |id: &i64| {
        let result = by_key.execute_with(params! { id: *id }).expect("an answer");
        result.first().expect("a row").get::<String>(0).expect("a name").len() as u64
    };
    bench.gate(
        "key lookup",
        1,
        Limit::Below(Duration::from_micros(5)),
        || each(timed(|| next(&mut ours_at).iter().map(ours).sum())),
        || each(timed(|| next(&mut theirs_at).iter().map(|id| names[id].clone().len() as u64).sum())),
    );

    let text = "MATCH (n:Person {id: $id})-[:Follows]->(other:Person) RETURN other.id";
    let one_hop = connection.prepare(text).expect("a statement");
    let ours = |id: &i64| {
        let result = one_hop.execute_with(params! { id: *id }).expect("an answer");
        result.rows().map(|row| row.get::<i64>(0).expect("an id") as u64).sum::<u64>()
    };
    let theirs = |id: &i64| {
        let others = follows.of(places[id] as usize).iter().map(|other| ids[*other as usize]);
        others.collect::<Vec<i64>>().iter().sum::<i64>() as u64
    };
    let (mut ours_at, mut theirs_at) = (0, 0);
    bench.gate(
        "one-hop lookup",
        1,
        Limit::None,
        || each(timed(|| next(&mut ours_at).iter().map(ours).sum())),
        || each(timed(|| next(&mut theirs_at).iter().map(theirs).sum())),
    );
}
