package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/shuama/shuama/role/payment/rides"
)

type smsCommand struct {
	List smsListCommand `cmd:"" help:"List short messages that wait for a link to the short message centre."`
}

type smsListCommand struct {
	Dir   string `arg:"" help:"The city's folder." type:"existingdir"`
	After int64  `help:"Those behind this number."`
	JSON  bool   `help:"Print one JSON object a line." name:"json"`
	bookFlags
}

// Help shows how it is used.
func (smsListCommand) Help() string {
	return `Each order that a merchant tells of makes one text for its rider. There is no link to a short message centre yet,
so texts wait: none is dropped, and none is sent twice.

Examples:
  shuama sms list city
  shuama sms list city --json --after 1000`
}

// textsAtOnce is how many texts a listing reads at once.
const textsAtOnce = 500

// Run lists them in the order in which they were made.
func (c *smsListCommand) Run(w *world) error {
	return withBooks(w, c.Dir, c.bookFlags, func(_ *city, b *books) error {
		count := 0
		for after := c.After; ; {
			texts, err := b.rides.Texts(w.context, after, textsAtOnce)
			if err != nil {
				return err
			}
			for _, text := range texts {
				c.print(w, text)
				after = text.No
			}
			count += len(texts)
			if len(texts) < textsAtOnce {
				break
			}
		}
		if !c.JSON {
			fmt.Fprintf(w.stdout, "%d texts wait.\n", count)
		}
		return nil
	})
}

func (c *smsListCommand) print(w *world, text rides.Text) {
	if !c.JSON {
		fmt.Fprintf(w.stdout, "%d  %s  %s  %s\n", text.No, text.Made.Format(time.RFC3339), text.Rider, plain(text.Text))
		return
	}
	_ = json.NewEncoder(w.stdout).Encode(struct { // a full disk shows where it is read
		No    int64     `json:"no"`
		Rider string    `json:"rider"`
		Text  string    `json:"text"`
		Made  time.Time `json:"made"`
	}{text.No, string(text.Rider), text.Text, text.Made})
}
