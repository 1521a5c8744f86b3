package main

import (
	"errors"
	"fmt"

	"github.com/shuama/shuama/edge/store/postgres"
)

type dbCommand struct {
	Use        dbUseCommand        `cmd:"" help:"Keep a city's books in PostgreSQL."`
	Distribute dbDistributeCommand `cmd:"" help:"Print or apply what Citus needs to spread the books over several machines."`
}

type dbUseCommand struct {
	Dir         string `arg:"" help:"The city's folder." type:"existingdir"`
	Database    string `arg:"" help:"As postgres://user@host/shuama; several hosts with commas between them. A password is better in PGPASSWORD or ~/.pgpass."`
	Buckets     int    `help:"How many parts the books have, 1 to 256: fixed for ever." default:"8"`
	ClaimsApart bool   `help:"Claim numbers in a transaction of their own, as several machines need it: fixed for ever."`
}

// Help shows how it is used.
func (dbUseCommand) Help() string {
	return `It makes the tables, in the schema shuama, and notes the address in city.json: from then on every command
of this city uses them. Books that are there keep their parts. A city that has rides in its own file goes on with
empty books: do this before the first one.

Examples:
  shuama db use city postgres://shuama@10.0.0.5/shuama
  shuama db use city "postgres://shuama@10.0.0.5,10.0.0.6,10.0.0.7/shuama?target_session_attrs=read-write"
  shuama db use city postgres://shuama@coordinator/shuama --buckets 256 --claims-apart`
}

// Run makes the books and notes where they are.
func (c *dbUseCommand) Run(w *world) error {
	db, err := postgres.OpenAs(w.context, c.Database, postgres.Layout{Buckets: c.Buckets, ClaimsApart: c.ClaimsApart})
	if err != nil {
		return err
	}
	layout := db.Layout()
	if err := db.Close(); err != nil {
		return err
	}
	err = changeCity(c.Dir, func(home *city) error {
		home.settings.Database = c.Database
		return home.save()
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w.stdout, "The books of %s are in %s, in %d buckets. Next: shuama serve %s\n", c.Dir, withoutPassword(c.Database), layout.Buckets, c.Dir)
	return err
}

type dbDistributeCommand struct {
	Database string `arg:"" optional:"" help:"Apply it there; without it the script is printed."`
}

// Help shows how it is used.
func (dbDistributeCommand) Help() string {
	return `Each bucket goes to one machine, and no statement needs two. It was designed for Citus 13 and never run on
one: try it on a copy first. The books must claim numbers apart (shuama db use --claims-apart).

Examples:
  shuama db distribute
  shuama db distribute postgres://shuama@coordinator/shuama`
}

// Run prints or applies.
func (c *dbDistributeCommand) Run(w *world) (err error) {
	if c.Database == "" {
		_, err := fmt.Fprint(w.stdout, postgres.DistributeScript())
		return err
	}
	db, err := postgres.Open(w.context, c.Database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Distribute(w.context); err != nil {
		return err
	}
	_, err = fmt.Fprintln(w.stdout, "Distributed.")
	return err
}
