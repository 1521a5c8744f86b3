package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/edge/hsm"
	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/edge/store/postgres"
	"github.com/shuama/shuama/protocol/carddata"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/cardissuer"
)

type cardCommand struct {
	Type    cardTypeCommand    `cmd:"" help:"Register card types and their rules."`
	Issue   cardIssueCommand   `cmd:"" help:"Open a card for a rider."`
	TopUp   cardTopUpCommand   `cmd:"" name:"top-up" help:"Bring money to a prepaid card; what it owes is paid first."`
	Refund  cardRefundCommand  `cmd:"" help:"Give back what a ride took too much."`
	Suspend cardSuspendCommand `cmd:"" help:"Stop a card, for a reason that its rider reads."`
	Resume  cardResumeCommand  `cmd:"" help:"Let a stopped card go on."`
	Revoke  cardRevokeCommand  `cmd:"" help:"Revoke a card; its balance is given back once late rides are in."`
	Close   cardCloseCommand   `cmd:"" help:"End the revocations that are due, and list what is to be paid out."`
	Show    cardShowCommand    `cmd:"" help:"Show a card, and what the platform knows of it."`
	List    cardListCommand    `cmd:"" help:"List cards."`
	History cardHistoryCommand `cmd:"" help:"List all that happened to a card."`
	Push    cardPushCommand    `cmd:"" help:"Send the platform what it does not know yet."`
	Audit   cardAuditCommand   `cmd:"" help:"Prove the book of the cards."`
}

// Files of a card issuer, in its merchant's folder.
const (
	cardBookFile     = "cards.db"
	cardSettingsFile = "cards.json"
)

// cardSettings is cards.json: what card data is sealed with.
type cardSettings struct {
	Institution string            `json:"institution"`        // 机构编码 of the code issuer, 8 hex digits
	Database    string            `json:"database,omitempty"` // postgres://…, where the book is; empty: cards.db
	CardData    []cardKeySettings `json:"card_data"`
}

// counter is a card issuer at work (发卡柜台).
type counter struct {
	*cardissuer.Issuer
	db io.Closer
}

func (c *counter) Close() error { return c.db.Close() }

// isCardIssuer tells whether a merchant's folder has a card book.
func isCardIssuer(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, cardSettingsFile))
	return err == nil
}

// openCounter opens the card book of a merchant's folder.
func openCounter(dir string, seal sealFlags) (*counter, error) {
	var settings cardSettings
	if err := readJSON(filepath.Join(dir, cardSettingsFile), &settings); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s issues no cards yet: register a card type with shuama card type add", dir)
	} else if err != nil {
		return nil, err
	}
	config, err := settings.config(dir, seal)
	if err != nil {
		return nil, err
	}
	book, db, err := settings.openBook(dir)
	if err != nil {
		return nil, err
	}
	issuer, err := cardissuer.New(book, config)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &counter{Issuer: issuer, db: db}, nil
}

// openBook opens the book where it is kept.
func (s cardSettings) openBook(dir string) (cardissuer.Store, io.Closer, error) {
	if s.Database != "" {
		db, err := postgres.Open(context.Background(), s.Database)
		if err != nil {
			return nil, nil, err
		}
		return db.Issuer(), db, nil
	}
	if err := mustExist(filepath.Join(dir, cardBookFile), "the book of this merchant's cards"); err != nil {
		return nil, nil, err
	}
	db, err := store.Open(filepath.Join(dir, cardBookFile))
	if err != nil {
		return nil, nil, err
	}
	return db.Issuer(), db, nil
}

// config unseals the keys of card data, where there are any.
func (s cardSettings) config(dir string, seal sealFlags) (config cardissuer.Config, err error) {
	config = cardissuer.Config{Random: rand.Reader, Rules: map[ridecode.CardType]carddata.Rule{}}
	if config.Institution, err = parseInstitution(s.Institution); err != nil {
		return config, fmt.Errorf("%s: institution: %w", cardSettingsFile, err)
	}
	for _, entry := range s.CardData {
		key, err := entry.unseal(dir, seal)
		if err != nil {
			return config, err
		}
		rule, err := carddata.NewSealed([]carddata.Key{key}, key.ID)
		if err != nil {
			return config, err
		}
		config.Rules[ridecode.CardType(entry.CardType)] = rule
	}
	return config, nil
}

func parseInstitution(text string) (ridecode.Quad, error) {
	code, err := hex.DecodeString(text)
	if err != nil || len(code) != len(ridecode.Quad{}) {
		return ridecode.Quad{}, errors.New("not 8 hex digits (document 1 §6.3.2)")
	}
	return ridecode.Quad(code), nil
}

func (s cardKeySettings) unseal(dir string, seal sealFlags) (carddata.Key, error) {
	algorithm, err := cardAlgorithm(s.Algorithm)
	if err != nil {
		return carddata.Key{}, err
	}
	sealer, err := seal.sealer(dir)
	if err != nil {
		return carddata.Key{}, err
	}
	content, err := hsm.ReadSealed(filepath.Join(dir, s.Sealed), sealer)
	if err != nil {
		return carddata.Key{}, err
	}
	key, err := hex.DecodeString(string(content))
	if err != nil {
		return carddata.Key{}, fmt.Errorf("%s: what was sealed is no key in hex", s.Sealed)
	}
	return carddata.Key{ID: carddata.KeyID(s.KeyID), Algorithm: algorithm, Bytes: key}, nil
}

// atCounter opens the book for one command. What the issuer refuses is told, and is an answer.
func atCounter(w *world, dir string, seal sealFlags, do func(*counter) error) error {
	c, err := openCounter(dir, seal)
	if err != nil {
		return err
	}
	err = do(c)
	var refused *cardissuer.Refusal
	if errors.As(err, &refused) {
		fmt.Fprintf(w.stderr, "shuama: refused: %s\n", refused.Why)
		err = refusal{}
	}
	return errors.Join(err, c.Close())
}

// cardArgs names a card.
type cardArgs struct {
	Dir  string `arg:"" help:"The merchant's folder." type:"existingdir"`
	Type string `arg:"" help:"The card type."`
	No   string `arg:"" help:"The card number." name:"card-no"`
	sealFlags
}

func (a cardArgs) key() cardissuer.CardKey {
	return cardissuer.CardKey{Type: ridecode.CardType(a.Type), No: ridecode.CardNo(a.No)}
}

// requestNumber is the request's own, where the caller gave none: then a repeated command is another request.
func requestNumber(given string) string {
	if given != "" {
		return given
	}
	return rand.Text()
}

// platformCards is the gateway as the card issuer sees it.
type platformCards struct{ client *gateway.Client }

// SendCard implements cardissuer.Platform.
func (p platformCards) SendCard(ctx context.Context, card openapi.CardSendRequest) error {
	_, err := gateway.Ask(ctx, p.client, openapi.CardSend(), card)
	return err
}

// printCard tells what a rider would ask.
func printCard(w *world, c *counter, card cardissuer.Card) error {
	code, tips, err := c.Disabled(w.context, card)
	if err != nil {
		return err
	}
	fmt.Fprintf(w.stdout, "%s %s of %s: %s, balance %s yuan", card.Key.Type, card.Key.No, card.User, card.State, card.NetFen().Yuan())
	if tips != "" {
		fmt.Fprintf(w.stdout, "; may not be shown: %s", strings.TrimSpace(code+" "+tips))
	}
	fmt.Fprintf(w.stdout, "\n  last_update_time %s, ", card.LastUpdate.In(openapi.Beijing()).Format(time.DateTime))
	switch {
	case card.Sent.Version == card.Version:
		fmt.Fprintln(w.stdout, "which the platform knows.")
	case card.Sent.Reason != "":
		fmt.Fprintf(w.stdout, "not taken by the platform yet: %s\n", card.Sent.Reason)
	default:
		fmt.Fprintln(w.stdout, "not sent yet: shuama card push sends it.")
	}
	return nil
}
