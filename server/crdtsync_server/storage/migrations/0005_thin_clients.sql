-- The conflicts of a space in the order in which they opened, whatever their status.
CREATE INDEX conflicts_of_space ON conflicts (space, opened_us);

-- What of a device was refused, for the page about it. Refusals are rare, so it is small.
CREATE INDEX requests_refused ON requests (replica, id) WHERE refused > 0;
