//! quire for Python: a thin layer. Statements run without the interpreter's lock, parameters become values before it is
//! let go, and results become lists straight from their columns once it is held again.

mod error;
mod from_python;
mod result;
mod to_python;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::{Dialect, Params};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use error::{closed, raised};
use result::QueryResult;

/// What a connection and its statements share: one statement at a time.
type SharedConnection = Arc<Mutex<Option<engine::Connection>>>;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic is an error of one statement; what it left behind is sound.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        let connection = py.detach(|| locked(&self.inner).as_ref().map(engine::Database::connect));
        let connection = connection.ok_or_else(closed)?.map_err(|error| raised(py, &error))?;
        let interrupt = connection.interrupt_handle();
        Ok(Connection { inner: Arc::new(Mutex::new(Some(connection))), interrupt })
    }

    /// Puts all changes into the table files.
    fn checkpoint(&self, py: Python<'_>) -> PyResult<()> {
        let done = py.detach(|| locked(&self.inner).as_ref().map(engine::Database::checkpoint));
        done.ok_or_else(closed)?.map_err(|error| raised(py, &error))
    }

    /// Makes everything durable and closes the database. Its connections can do nothing any more.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let done = py.detach(|| locked(&self.inner).take().map(engine::Database::close));
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
    inner: SharedConnection,
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
        let run = || locked(&self.inner).as_ref().map(|connection| connection.query_with(query, params));
        let result = py.detach(run).ok_or_else(closed)?;
        Ok(QueryResult::new(result.map_err(|error| raised(py, &error))?))
    }

    /// Checks a statement and keeps it with its plan.
    fn prepare(&self, py: Python<'_>, query: &str) -> PyResult<Statement> {
        let prepare = || locked(&self.inner).as_ref().map(|connection| connection.prepare(query));
        let statement = py.detach(prepare).ok_or_else(closed)?.map_err(|error| raised(py, &error))?;
        Ok(Statement { connection: Arc::clone(&self.inner), statement })
    }

    /// Ends the statement that another thread runs on this connection; it raises an error there.
    fn interrupt(&self) {
        self.interrupt.interrupt();
    }

    /// Ends the connection; an open transaction is rolled back.
    fn close(&self, py: Python<'_>) {
        let connection = py.detach(|| locked(&self.inner).take());
        py.detach(|| drop(connection));
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
    connection: SharedConnection,
    statement: engine::Statement,
}

#[pymethods]
impl Statement {
    /// Runs it with these parameters.
    #[pyo3(signature = (params=None))]
    fn execute(&self, py: Python<'_>, params: Option<&Bound<'_, PyDict>>) -> PyResult<QueryResult> {
        let params: Params = from_python::params(params)?;
        let run = || {
            let connection = locked(&self.connection);
            connection.as_ref().map(|_| self.statement.execute_with(params))
        };
        let result = py.detach(run).ok_or_else(closed)?;
        Ok(QueryResult::new(result.map_err(|error| raised(py, &error))?))
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
