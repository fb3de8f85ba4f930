"""What the module promises, run against the installed one: python -m unittest discover tests"""
import datetime
import decimal
import os
import signal
import tempfile
import threading
import time
import unittest
import uuid

import quiredb


class Module(unittest.TestCase):
    def setUp(self):
        self.database = quiredb.Database(":memory:", threads=2)
        self.connection = self.database.connect()

    def rows(self, query, params=None):
        return self.connection.execute(query, params).fetchall()

    def test_rows(self):
        result = self.connection.execute("UNWIND range(1, 5) AS n RETURN n, n / 2.0 AS half, 'n' + string(n) AS t, n > 3 AS big")
        self.assertEqual(result.columns, ["n", "half", "t", "big"])
        self.assertEqual(len(result), 5)
        self.assertEqual(result.fetchone(), [1, 0.5, "n1", False])
        self.assertEqual(result.fetchmany(2), [[2, 1.0, "n2", False], [3, 1.5, "n3", False]])
        self.assertEqual([row[0] for row in result], [4, 5])
        self.assertEqual(result.get_all(), [])
        self.assertIsNone(result.fetchone())
        many = self.rows("UNWIND range(1, 100000) AS n RETURN n")
        self.assertEqual([row[0] for row in many], list(range(1, 100001)))

    def test_values_go_in_and_come_out(self):
        zone = datetime.timezone(datetime.timedelta(hours=2))
        for value in [
            None, True, False, 0, -5, 2**62, 2**100, -(2**80), 1.5, float("inf"), "text", "", "ünïcode", b"\x00\xff",
            [1, 2, 3], [], ["a", None], {"a": 1, "b": [True]}, datetime.date(2024, 2, 29), datetime.date(1, 1, 1),
            datetime.datetime(1969, 12, 31, 23, 59, 59, 999999), datetime.datetime(2024, 1, 1, 12), datetime.time(1, 2, 3, 4),
            datetime.timedelta(days=3, seconds=4, microseconds=5), decimal.Decimal("12.345"), decimal.Decimal("-0.01"),
        ]:
            self.assertEqual(self.rows("RETURN $v", {"v": value}), [[value]], repr(value))
        point = datetime.datetime(2024, 6, 1, 12, 0, 0, 5, tzinfo=zone)
        self.assertEqual(self.rows("RETURN $v", {"v": point}), [[point]])
        self.assertEqual(self.rows("RETURN $v", {"v": (1, 2)}), [[[1, 2]]])
        name = uuid.uuid4()
        self.connection.execute("CREATE NODE TABLE U(id UUID PRIMARY KEY)")
        self.connection.execute("CREATE (:U {id: $id})", {"id": name})
        self.assertEqual(self.rows("MATCH (u:U) RETURN u.id"), [[name]])
        with self.assertRaises(quiredb.Error):
            self.rows("RETURN $v", {"v": object()})

    def test_entities(self):
        for text in [
            "CREATE NODE TABLE P(id INT64 PRIMARY KEY, name STRING)", "CREATE REL TABLE K(FROM P TO P, since INT64)",
            "CREATE (:P {id: 1, name: 'a'})-[:K {since: 3}]->(:P {id: 2, name: 'b'})",
        ]:
            self.connection.execute(text)
        [[path, node, rel]] = self.rows("MATCH p = (n:P)-[r:K]->() RETURN p, n, r")
        self.assertEqual((node["_label"], node["_labels"], node["id"], node["name"]), ("P", ["P"], 1, "a"))
        self.assertEqual((rel["_label"], rel["_src"], rel["since"]), ("K", node["_id"], 3))
        self.assertEqual(len(path["_nodes"]), 2)
        self.assertEqual(path["_rels"], [rel])

    def test_prepared(self):
        self.connection.execute("CREATE NODE TABLE P(id INT64 PRIMARY KEY)")
        insert = self.connection.prepare("CREATE (:P {id: $id})")
        for number in range(10):
            insert.execute({"id": number})
        find = self.connection.prepare("MATCH (p:P {id: $id}) RETURN p.id")
        self.assertEqual(find.parameters, ["id"])
        self.assertEqual([find.execute({"id": n}).fetchall() for n in (3, 99)], [[[3]], []])

    def test_errors(self):
        with self.assertRaises(quiredb.Error) as caught:
            self.connection.execute("MATCH (n:Nowhere)\nRETURN m")
        error = caught.exception
        self.assertEqual((error.kind, error.line), ("BINDER", 1))
        self.assertIn("Nowhere", str(error))
        self.connection.execute("CREATE NODE TABLE P(id INT64 PRIMARY KEY, x INT64)")
        self.connection.execute("CREATE (:P {id: 1})")
        other = self.database.connect()
        self.connection.execute("BEGIN TRANSACTION")
        other.execute("BEGIN TRANSACTION")
        self.connection.execute("MATCH (p:P) SET p.x = 1")
        with self.assertRaises(quiredb.ConflictError):
            other.execute("MATCH (p:P) SET p.x = 2")
        other.execute("ROLLBACK")
        self.connection.execute("COMMIT")
        self.assertEqual(other.execute("MATCH (p:P) RETURN p.x").fetchall(), [[1]])

    def test_parameters_that_have_no_end(self):
        endless = []
        endless.append(endless)
        with self.assertRaisesRegex(quiredb.Error, "nests deeper"):
            self.connection.execute("RETURN $x", {"x": endless})

        class Itself:
            def tolist(self):
                return self

        with self.assertRaisesRegex(quiredb.Error, "nests deeper"):
            self.connection.execute("RETURN $x", {"x": Itself()})
        with self.assertRaisesRegex(quiredb.Error, "zone"):
            time = datetime.time(1, 2, tzinfo=datetime.timezone.utc)
            self.connection.execute("RETURN $x", {"x": time})

    def test_rows_one_by_one(self):
        rows = self.connection.execute("UNWIND range(1, 10000) AS i RETURN i")
        self.assertEqual(rows.fetchone(), [1])
        self.assertEqual(rows.fetchmany(3000), [[i] for i in range(2, 3002)])
        self.assertEqual([row for [row] in rows], list(range(3002, 10001)))
        self.assertIsNone(rows.fetchone())

    def test_interrupts(self):
        timer = threading.Timer(0.2, self.connection.interrupt)
        timer.start()
        with self.assertRaisesRegex(quiredb.Error, "interrupt"):
            self.connection.execute("UNWIND range(1, 100000) AS a UNWIND range(1, 100000) AS b RETURN max(a * b % 7)")
        self.assertEqual(self.connection.execute("RETURN 1").fetchall(), [[1]])

    def assert_ends_by_ctrl_c(self, call, delay=0.2, most=0.2):
        pressed = []

        def press():
            pressed.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

        # What ends late because other programs have the processor may be early the next time.
        for _ in range(5):
            timer = threading.Timer(delay, press)
            timer.start()
            with self.assertRaises(KeyboardInterrupt):
                call()
            late = time.monotonic() - pressed[-1]
            timer.join()
            if late < most:
                return
        self.fail(f"it ended {late} s after Ctrl-C")

    def test_ctrl_c(self):
        endless = "UNWIND range(1, 100000) AS a UNWIND range(1, 100000) AS b "
        for threads in (1, 2):
            self.connection.execute(f"CALL threads = {threads}")
            for text in (
                endless + "RETURN sum(a * b % 7)",
                endless + "WITH a, b ORDER BY a * b % 1009, b RETURN max(a)",
                endless + "RETURN count(DISTINCT a * 100000 + b)",
                "RETURN size([x IN range(1, 200000000) WHERE x % 3 = 0 | x * x])",
            ):
                self.assert_ends_by_ctrl_c(lambda: self.connection.execute(text))
                self.assertEqual(self.rows("RETURN 1"), [[1]])
        statement = self.connection.prepare(endless + "RETURN sum(a * b % $m)")
        self.assert_ends_by_ctrl_c(lambda: statement.execute({"m": 7}))

    def test_ctrl_c_ends_scans_of_several_threads(self):
        self.connection.execute("CREATE NODE TABLE P(id INT64 PRIMARY KEY, v INT64)")
        self.connection.execute("UNWIND range(1, 200000) AS i CREATE (:P {id: i, v: i % 1000})")
        # One morsel takes longer than the other: the thread that has called waits for the helper, too.
        text = "MATCH (p:P) WHERE p.id > 190000 UNWIND range(1, 10000000) AS x RETURN sum(p.v * x)"
        self.assert_ends_by_ctrl_c(lambda: self.connection.execute(text))

    def test_ctrl_c_ends_loads(self):
        self.connection.execute("CREATE NODE TABLE P(id INT64 PRIMARY KEY, t STRING)")
        with tempfile.TemporaryDirectory() as folder:
            with open(folder + "/p.csv", "w") as file:
                file.writelines(f"{i},a text of number {i}\n" for i in range(3000000))
            # Without optimization a block of the file takes long.
            self.assert_ends_by_ctrl_c(lambda: self.connection.execute(f"COPY P FROM '{folder}/p.csv'"), 0.1, 1.0)
        self.assertEqual(self.rows("MATCH (p:P) RETURN count(*)"), [[0]])

    def test_ctrl_c_while_others_write(self):
        self.connection.execute("CREATE NODE TABLE P(id INT64 PRIMARY KEY, x INT64)")
        self.connection.execute("CREATE (:P {id: 1})")
        other = self.database.connect()
        other.execute("BEGIN TRANSACTION")
        other.execute("MATCH (p:P) SET p.x = 1")
        self.assert_ends_by_ctrl_c(lambda: self.connection.execute("MATCH (p:P) SET p.x = 2"))
        other.execute("COMMIT")
        self.assertEqual(self.rows("MATCH (p:P) RETURN p.x"), [[1]])

    def test_ctrl_c_while_another_thread_has_the_connection(self):
        run = lambda: self.assertRaises(quiredb.Error, self.connection.execute, "UNWIND range(1, 100000) AS a UNWIND range(1, 100000) AS b RETURN max(a * b % 7)")
        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(0.1)
        self.assert_ends_by_ctrl_c(lambda: self.connection.execute("RETURN 1"))
        self.connection.interrupt()
        thread.join()
        self.assertEqual(self.rows("RETURN 1"), [[1]])

    def test_signals_that_raise_nothing(self):
        inside = []

        def handle(*_):
            inside.append(self.database.connect().execute("RETURN 1").fetchall())
            with self.assertRaisesRegex(quiredb.Error, "signal"):
                self.connection.execute("RETURN 1")

        before = signal.signal(signal.SIGUSR1, handle)
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        text = "UNWIND range(1, 2000) AS a UNWIND range(1, 20000) AS b RETURN count(DISTINCT a * b % 7)"
        while not inside:
            self.assertEqual(self.rows(text), [[7]])
        timer.join()
        signal.signal(signal.SIGUSR1, before)
        self.assertEqual(inside, [[[1]]])

    def test_closing(self):
        statement = self.connection.prepare("RETURN 1")
        self.connection.close()
        for call in (statement.execute, lambda: self.connection.execute("RETURN 1")):
            with self.assertRaises(quiredb.Error):
                call()
        self.database.close()
        self.database.close()
        with self.assertRaises(quiredb.Error):
            self.database.connect()

    def test_it_is_kept(self):
        with tempfile.TemporaryDirectory() as folder:
            with quiredb.Database(folder + "/graph", threads=1) as database, database.connect() as connection:
                connection.execute("CREATE NODE TABLE P(id INT64 PRIMARY KEY)")
                connection.execute("UNWIND range(1, 100) AS i CREATE (:P {id: i})")
            with quiredb.Database(folder + "/graph", read_only=True) as database:
                self.assertEqual(database.connect().execute("MATCH (p:P) RETURN count(*)").fetchall(), [[100]])

    def test_other_threads_go_on(self):
        ticks, done = [0], threading.Event()

        def tick():
            while not done.is_set():
                ticks[0] += 1

        thread = threading.Thread(target=tick)
        thread.start()
        before = ticks[0]
        self.rows("UNWIND range(1, 3000) AS a UNWIND range(1, 1000) AS b RETURN sum(a * b % 7)")
        after = ticks[0]
        done.set()
        thread.join()
        self.assertGreater(after - before, 1000)


if __name__ == "__main__":
    unittest.main()
