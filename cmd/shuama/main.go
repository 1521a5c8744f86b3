// Command shuama (刷码) is the whole offline QR payment system in one program: every server and tool of it is a
// subcommand. `shuama demo` shows a city at work in some seconds.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// Exit statuses, the same for every command.
const (
	exitAccepted = 0
	exitRefused  = 1 // it ran, and the answer is no
	exitMisuse   = 2 // it could not run: arguments, files, settings
)

// cli is the commands.
type cli struct {
	Demo        demoCommand        `cmd:"" help:"Show a city at work: two riders, a bus, a metro, virtual cards, the settlement, and what is refused."`
	Inspect     inspectCommand     `cmd:"" help:"Explain a code, a record or a picture: every field, every check, the verdict."`
	Keys        keysCommand        `cmd:"" help:"Make an institution and its keys, register apps and terminals."`
	App         appCommand         `cmd:"" help:"Manage registered apps: methods, keys, certificates, limits, addresses."`
	Account     accountCommand     `cmd:"" help:"Open and top up accounts, refund rides, stop riders."`
	Risk        riskCommand        `cmd:"" help:"Show what risk rules found of riders, and set findings aside."`
	Audit       auditCommand       `cmd:"" help:"Prove the books, and show every balance."`
	Day         dayCommand         `cmd:"" help:"Close accounting days: bills, statements, payouts."`
	DB          dbCommand          `cmd:"" name:"db" help:"Keep the books in PostgreSQL, on one machine or several."`
	Trust       trustCommand       `cmd:"" help:"What terminals trust: deny and allow users, publish bundles."`
	Serve       serveCommand       `cmd:"" help:"Run the open platform."`
	Wallet      walletCommand      `cmd:"" help:"Fetch a grant for a rider, and show ride codes."`
	Terminal    terminalCommand    `cmd:"" help:"Run a gate: codes in, verdicts and records out."`
	Conformance conformanceCommand `cmd:"" help:"Hold any verifier of ride codes to attack vectors, and print its score."`
	Merchant    merchantCommand    `cmd:"" help:"Collect records, price trips, settle trades until each has a final answer."`
	Card        cardCommand        `cmd:"" help:"Issue virtual cards, top them up, stop and revoke them."`
	Fare        fareCommand        `cmd:"" help:"Check fare tables, explain fares, and replay a month under other tables."`
	SMS         smsCommand         `cmd:"" name:"sms" help:"Short messages to riders."`
	Simulate    simulateCommand    `cmd:"" help:"Let a whole city live, with faults and thieves, as fast as the machine can, and explain every fen."`
}

// world is what commands get from outside: nothing of it is reached in another way.
type world struct {
	context context.Context
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
	now     func() time.Time
}

// refusal ends a command that ran and whose answer is no. What is to be said has been said.
type refusal struct{}

func (refusal) Error() string { return "refused" }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends what does not listen to the first
	os.Exit(run(&world{context: ctx, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, now: time.Now}, os.Args[1:]))
}

func run(w *world, args []string) (status int) {
	var commands cli
	parser, err := kong.New(&commands, kong.Name("shuama"), kong.UsageOnError(), kong.Writers(w.stdout, w.stderr),
		kong.Description("Shuama 刷码: an open, complete offline QR payment system. Start with: shuama demo"),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.Exit(func(code int) { panic(exit(code)) }))
	if err != nil {
		panic("shuama: internal error: " + err.Error())
	}
	defer func() {
		switch fault := recover().(type) {
		case nil:
		case exit:
			status = int(fault)
		default:
			panic(fault)
		}
	}()
	selected, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(w.stderr, "shuama: %v\nTry: shuama --help, or shuama COMMAND --help\n", err)
		return exitMisuse
	}
	return report(w, selected.Run(w))
}

// exit carries kong's wish to end the program after --help.
type exit int

func report(w *world, err error) int {
	switch {
	case err == nil:
		return exitAccepted
	case errors.Is(err, refusal{}):
		return exitRefused
	}
	fmt.Fprintln(w.stderr, "shuama:", err)
	return exitMisuse
}
