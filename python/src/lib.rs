//! quire for Python: a thin layer. Statements run without the interpreter's lock, parameters become values before it is
//! let go, and results become lists straight from their columns once it is held again.

mod error;
mod from_python;
mod result;
mod signals;
mod to_python;

use std::sync::Arc;
use std::time::Duration;

use engine::{Dialect, Params};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use error::{closed, raised};
use result::QueryResult;
use signals::Signals;

/// What a connection and its statements share: one statement at a time.
struct Shared {
    connection: Mutex<Option<engine::Connection>>,
    signals: Signals,
}

/// How long a thread waits for another one's statement before it looks for signals.
const PATIENCE: Duration = Duration::from_millis(50);

impl Shared {
    fn new(connection: engine::Connection) -> Arc<Shared> {
        let shared = Arc::new(Shared { connection: Mutex::default(), signals: Signals::default() });
        let asked = Arc::downgrade(&shared);
        connection
            .set_interrupt_check(move || asked.upgrade().is_none_or(|shared| shared.signals.may_go_on()));
        *shared.connection.lock() = Some(connection);
        shared
    }

    /// Does something with the connection without the interpreter's lock, as soon as no other thread does.
    fn run<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&engine::Connection) -> engine::Result<T> + Send,
    ) -> PyResult<T> {
        if self.signals.is_in_handler() {
            return Err(error::misused("the connection runs a statement, inside which a signal is handled"));
        }
        let done = py.detach(|| {
            loop {
                if let Some(connection) = self.connection.try_lock_for(PATIENCE) {
                    return connection.as_ref().map(work);
                }
                if !self.signals.may_go_on() {
                    return None;
                }
            }
        });
        self.signals.take()?;
        done.ok_or_else(closed)?.map_err(|error| raised(py, &error))
    }
}

/// A database, open until `close`.
#[pyclass(frozen)]
struct Database {
    inner: Mutex<Option<engine::Database>>,
}

#[pymethods]
impl Database {
    #[new]
    #[pyo3(signature = (path=None, *, threads=None, read_only=false, buffer_pool_size=None, memory_limit=None, dialect=None))]
    fn new(
        py: Python<'_>,
        path: Option<std::path::PathBuf>,
        threads: Option<usize>,
        read_only: bool,
        buffer_pool_size: Option<u64>,
        memory_limit: Option<u64>,
        dialect: Option<&str>,
    ) -> PyResult<Database> {
        let mut builder = engine::Database::builder().read_only(read_only);
        if let Some(threads) = threads {
            builder = builder.threads(threads);
        }
        if let Some(bytes) = buffer_pool_size {
            builder = builder.buffer_pool_size(bytes);
        }
        if let Some(bytes) = memory_limit {
            builder = builder.memory_limit(bytes);
        }
        builder = match dialect {
            None => builder,
            Some("opencypher") => builder.dialect(Dialect::OpenCypher),
            Some("kuzu") => builder.dialect(Dialect::Kuzu),
            Some(other) => {
                return Err(error::misused(&format!("there is no dialect {other:?}: opencypher, kuzu")));
            }
        };
        let opened = py.detach(|| match path {
            Some(path) if path.as_os_str() != ":memory:" => builder.open(path),
            _ => builder.in_memory(),
        });
        let database = opened.map_err(|error| raised(py, &error))?;
        Ok(Database { inner: Mutex::new(Some(database)) })
    }

    /// A new connection.
    fn connect(&self, py: Python<'_>) -> PyResult<Connection> {
        let connection = py.detach(|| self.inner.lock().as_ref().map(engine::Database::connect));
        let connection = connection.ok_or_else(closed)?.map_err(|error| raised(py, &error))?;
        let interrupt = connection.interrupt_handle();
        Ok(Connection { shared: Shared::new(connection), interrupt })
    }

    /// Puts all changes into the table files.
    fn checkpoint(&self, py: Python<'_>) -> PyResult<()> {
        let done = py.detach(|| self.inner.lock().as_ref().map(engine::Database::checkpoint));
        done.ok_or_else(closed)?.map_err(|error| raised(py, &error))
    }

    /// Makes everything durable and closes the database. Its connections can do nothing any more.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let done = py.detach(|| self.inner.lock().take().map(engine::Database::close));
        done.unwrap_or(Ok(())).map_err(|error| raised(py, &error))
    }

    fn __enter__(this: Py<Self>) -> Py<Self> {
        this
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) -> PyResult<()> {
        self.close(py)
    }
}

/// A connection with its settings and its transaction.
#[pyclass(frozen)]
struct Connection {
    shared: Arc<Shared>,
    interrupt: engine::InterruptHandle,
}

#[pymethods]
impl Connection {
    /// Runs one or several statements; the result is that of the last.
    #[pyo3(signature = (query, params=None))]
    fn execute(
        &self,
        py: Python<'_>,
        query: &str,
        params: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<QueryResult> {
        let params = from_python::params(params)?;
        let result = self.shared.run(py, |connection| connection.query_with(query, params))?;
        Ok(QueryResult::new(result))
    }

    /// Checks a statement and keeps it with its plan.
    fn prepare(&self, py: Python<'_>, query: &str) -> PyResult<Statement> {
        let statement = self.shared.run(py, |connection| connection.prepare(query))?;
        Ok(Statement { shared: Arc::clone(&self.shared), statement })
    }

    /// Ends the statement that another thread runs on this connection; it raises an error there. Ctrl-C needs none of
    /// this: it ends what the main thread runs.
    fn interrupt(&self) {
        self.interrupt.interrupt();
    }

    /// Ends the connection; an open transaction is rolled back.
    fn close(&self, py: Python<'_>) {
        py.detach(|| drop(self.shared.connection.lock().take()));
    }

    fn __enter__(this: Py<Self>) -> Py<Self> {
        this
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) {
        self.close(py);
    }
}

/// A prepared statement.
#[pyclass(frozen)]
struct Statement {
    shared: Arc<Shared>,
    statement: engine::Statement,
}

#[pymethods]
impl Statement {
    /// Runs it with these parameters.
    #[pyo3(signature = (params=None))]
    fn execute(&self, py: Python<'_>, params: Option<&Bound<'_, PyDict>>) -> PyResult<QueryResult> {
        let params: Params = from_python::params(params)?;
        let result = self.shared.run(py, |_| self.statement.execute_with(params))?;
        Ok(QueryResult::new(result))
    }

    /// The names of its parameters.
    #[getter]
    fn parameters(&self) -> Vec<String> {
        self.statement.parameters().to_vec()
    }
}

/// An embedded property-graph database.
#[pymodule]
fn quiredb(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("Error", module.py().get_type::<error::Error>())?;
    module.add("ConflictError", module.py().get_type::<error::ConflictError>())?;
    module.add_class::<Database>()?;
    module.add_class::<Connection>()?;
    module.add_class::<Statement>()?;
    module.add_class::<QueryResult>()
}
