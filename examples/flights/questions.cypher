// Questions to the graph that load.cypher makes. A line that starts with a colon is a command of the shell.

:print 1. How large is the graph?
MATCH (:Airport)-[r:Route]->(:Airport)
WITH count(*) AS routes, sum(r.flights) AS flights
MATCH (a:Airport)
RETURN count(*) AS airports, count(DISTINCT a.state) AS states, routes, flights;

:print 2. Which airports are the busiest?
MATCH (a:Airport)-[r:Route]->(:Airport)
RETURN a.iata AS airport, a.city AS city, count(*) AS destinations, sum(r.flights) AS flights
ORDER BY flights DESC LIMIT 5;

:print 3. Burlington to Honolulu: where does one change planes?
MATCH (:Airport {iata: 'BTV'})-[out:Route]->(hub:Airport)-[on:Route]->(:Airport {iata: 'HNL'})
RETURN hub.iata AS hub, hub.city AS city, out.flights AS from_burlington, on.flights AS to_honolulu
ORDER BY from_burlington + to_honolulu DESC;

:print 4. The longest routes, as the crow flies
MATCH (a:Airport)-[r:Route]->(b:Airport)
WHERE a.iata < b.iata
WITH a, b, r, sin(radians(a.latitude)) * sin(radians(b.latitude))
    + cos(radians(a.latitude)) * cos(radians(b.latitude)) * cos(radians(a.longitude - b.longitude)) AS cosine
RETURN a.city AS one_end, b.city AS other_end, toInteger(6371 * acos(cosine)) AS kilometres, r.flights AS flights
ORDER BY kilometres DESC LIMIT 5;

:print 5. One-way streets of the air: pairs with flights in one direction only
MATCH (a:Airport)-[r:Route]-(b:Airport)
WHERE a.iata < b.iata
WITH a, b, count(r) AS directions, sum(r.flights) AS flights
WHERE directions = 1
RETURN a.city AS one_end, b.city AS other_end, flights
ORDER BY flights DESC, one_end, other_end LIMIT 5;

:print 6. Lifelines: which hub is the only destination of how many airports?
MATCH (a:Airport)-[:Route]->(b:Airport)
WITH a, count(*) AS destinations, min(b.iata) AS code
WHERE destinations = 1
MATCH (hub:Airport {iata: code})
RETURN hub.iata AS hub, hub.city AS city, count(*) AS airports
ORDER BY airports DESC, hub LIMIT 5;

:print 7. Where does one get from Bethel in Alaska with at most two flights?
MATCH (:Airport {iata: 'BET'})-[:Route*1..2]->(b:Airport)
RETURN b.state AS state, count(DISTINCT b) AS airports
ORDER BY airports DESC, state LIMIT 5;

:print 8. How many round trips over three airports are there, and how many itineraries of three flights?
MATCH (a:Airport)-[:Route]->(b:Airport)-[:Route]->(c:Airport)-[:Route]->(a)
RETURN count(*) AS round_trips;
MATCH (:Airport)-[:Route]->(:Airport)-[:Route]->(:Airport)-[:Route]->(:Airport)
RETURN count(*) AS itineraries;

:print 9. How is such a question answered?
EXPLAIN MATCH (:Airport {iata: 'BTV'})-[:Route]->(hub:Airport)-[:Route]->(:Airport {iata: 'HNL'}) RETURN hub.iata;
