//! Definitions, COPY, settings and transactions.

use super::{check, check_error};
use crate::binder::BindErrorKind::*;

#[test]
fn tables_are_defined() {
    check(
        "CREATE NODE TABLE IF NOT EXISTS Person(id INT64 PRIMARY KEY)",
        "NODE TABLE IF NOT EXISTS Person(id INT64) KEY id",
    );
    check(
        "CREATE NODE TABLE T(id SERIAL, d DATE DEFAULT date('2020-01-01'), n INT32 DEFAULT 3, x DECIMAL(10, 2)[], \
         u STRUCT(a INT64, b STRING), m MAP(STRING, INT64), s STRING NOT NULL, PRIMARY KEY(id, s))",
        "NODE TABLE T(id SERIAL, d DATE DEFAULT date('2020-01-01'), n INT32 DEFAULT 3, x DECIMAL(10, 2)[], \
         u STRUCT(a INT64, b STRING), m MAP(STRING, INT64), s STRING NOT NULL) KEY id, s",
    );
    check(
        "CREATE REL TABLE R(FROM Person TO City, FROM City TO Person, w DOUBLE, MANY_ONE)",
        "REL TABLE R(w DOUBLE) Person->City City->Person ManyOne",
    );
    check("DROP TABLE Likes", "DropTable { name: \"Likes\", if_exists: false }");
    check("DROP TABLE IF EXISTS Nothing", "DropTable { name: \"Nothing\", if_exists: true }");
}

#[test]
fn definitions_are_checked() {
    check_error("CREATE NODE TABLE Person(id INT64 PRIMARY KEY)", AlreadyExists, "Person");
    check_error("CREATE NODE TABLE T(id INT64, PRIMARY KEY(ix))", UnknownProperty, "ix");
    check_error("CREATE NODE TABLE T(id INT64, id STRING, PRIMARY KEY(id))", DuplicateColumn, "id");
    check_error("CREATE NODE TABLE T(id INT99, PRIMARY KEY(id))", UnknownType, "INT99");
    check_error("CREATE NODE TABLE T(id INT64[] PRIMARY KEY)", InvalidDefinition, "id");
    check_error("CREATE NODE TABLE T(id INT64 DEFAULT 'x', PRIMARY KEY(id))", TypeMismatch, "'x'");
    check_error("CREATE REL TABLE R(FROM Person TO Ctiy)", UnknownTable, "Ctiy");
    check_error("DROP TABLE Prson", UnknownTable, "Prson");
    check_error("DROP TABLE Person", InvalidDefinition, "Person");
    check_error("DROP SEQUENCE s", NotSupported, "DROP SEQUENCE s");
}

#[test]
fn copies_choose_table_and_columns() {
    check(
        "COPY Person FROM 'a.csv' (HEADER = true, DELIM = '|')",
        "COPY Person(0,1,2,3,4,5) FROM a.csv (header=true, delim='|')",
    );
    check("COPY Person(name, id) FROM ['a.csv', 'b*.csv']", "COPY Person(1,0) FROM a.csv b*.csv ()");
    check(
        "COPY Likes FROM 'x.csv' (from = 'Person', to = 'City', header)",
        "COPY Likes[Person->City ManyMany](12) FROM x.csv (header=true)",
    );
    check("COPY LivesIn FROM 'x.csv'", "COPY LivesIn[Person->City ManyMany]() FROM x.csv ()");
    check_error("COPY Persn FROM 'x.csv'", UnknownTable, "Persn");
    check_error("COPY Person(nme) FROM 'x.csv'", UnknownProperty, "nme");
    check_error("COPY Likes FROM 'x.csv'", InvalidOption, "Likes");
    check_error("COPY Likes FROM 'x.csv' (from = 'Post')", InvalidOption, "from = 'Post'");
    check_error("COPY Person FROM 'x.csv' (delim = a.b)", UnknownVariable, "a");
    check_error("COPY Person FROM (MATCH (n) RETURN n)", NotSupported, "(MATCH (n) RETURN n)");
}

#[test]
fn commands_are_passed_on() {
    check("CALL dialect = 'kuzu'", "SET dialect = 'kuzu'");
    check("CALL THREADS = 4", "SET threads = 4");
    check("BEGIN TRANSACTION READ ONLY", "Begin { read_only: true }");
    check("COMMIT", "Commit");
    check("EXPLAIN RETURN 1 AS x", "EXPLAIN RETURN 1 AS x => x INT64");
    check("PROFILE RETURN 1 AS x", "PROFILE RETURN 1 AS x => x INT64");
}
