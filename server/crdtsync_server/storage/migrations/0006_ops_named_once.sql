-- Records at rest name each op once. Those in the form of before are read all the same, and
-- written in the new one when they change; the number keeps a program away that knows only
-- the old one.
SELECT 1;
