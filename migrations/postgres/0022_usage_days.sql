-- PostgreSQL keeps rows apart from their key anyway: nothing changes here. (The number is SQLite's, where something does.)
select 1;
