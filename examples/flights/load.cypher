// Airports of the United States and the routes between them: tables, and two files.
// Paths in COPY start from the current directory: run this from the root of the repository.

// What an earlier run has left.
DROP TABLE IF EXISTS Route;
DROP TABLE IF EXISTS Airport;

// A table of nodes has a primary key; a table of relationships says which nodes it joins.
CREATE NODE TABLE Airport(
    iata STRING, name STRING, city STRING, state STRING, country STRING, latitude DOUBLE, longitude DOUBLE,
    PRIMARY KEY (iata));
CREATE REL TABLE Route(FROM Airport TO Airport, flights INT64);

// All rows of a file or none. The file writes NA for what nobody knows.
COPY Airport FROM 'examples/flights/airports.csv' (HEADER = true, NULL_STRINGS = ['', 'NA']);
// The first two fields of a relationship are the keys of its ends.
COPY Route FROM 'examples/flights/routes.csv' (HEADER = true);
