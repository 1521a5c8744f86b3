// Command torture (扫码压力图集) makes 150 pictures that are hard to read, gives them to QR readers, and prints how
// each did:
//
//	apt-get install zbar-tools zxing-cpp-tools
//	go run ./tools/torture                                    ours beside zbar and ZXing
//	go run ./tools/torture -with 'mine=./myreader {}'         and beside any other program
//	go run ./tools/torture -out pictures                      keep the pictures, and the bytes in each
//
// The pictures are the same every time. Exit status: 0 measured, 1 a reader returned wrong bytes, 2 misuse.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

type settings struct {
	out   string
	alone bool
	with  []decoder
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s, err := parseSettings(os.Args[1:])
	if err == nil {
		var anyWrong bool
		if anyWrong, err = run(ctx, s, os.Stdout); anyWrong {
			os.Exit(1)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		os.Exit(2)
	}
}

func parseSettings(args []string) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("torture", flag.ExitOnError)
	flags.StringVar(&s.out, "out", "", "keep the pictures in this `folder`, each as .png and its bytes as .bin")
	flags.BoolVar(&s.alone, "alone", false, "measure our own reader only")
	flags.Func("with", "another reader, as `NAME=COMMAND`; {} stands for the picture's path; may be repeated", func(text string) error {
		d, err := parseDecoder(text)
		s.with = append(s.with, d)
		return err
	})
	err := flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("argument %q: flags only", flags.Arg(0))
	}
	return s, err
}

// run makes the set, measures every reader on it, and prints the table.
func run(ctx context.Context, s settings, out io.Writer) (anyWrong bool, err error) {
	decoders := []decoder{ours()}
	if !s.alone {
		others, err := debian()
		if err != nil {
			return false, err
		}
		decoders = append(decoders, others...)
	}
	set, dir, done, err := prepare(s.out)
	if err != nil {
		return false, err
	}
	defer done()
	var scores []score
	for _, d := range append(decoders, s.with...) {
		scores = append(scores, measure(ctx, d, set, dir))
		anyWrong = anyWrong || len(scores[len(scores)-1].wrong) > 0
	}
	writeTable(out, scores, len(set))
	for _, s := range scores {
		if len(s.wrong) > 0 {
			fmt.Fprintf(out, "\n%s returned wrong bytes for %v\n", s.decoder, s.wrong)
		}
	}
	return anyWrong, nil
}

// prepare makes the pictures and puts them where other programs can read them.
func prepare(dir string) (set []torture, _ string, done func(), err error) {
	done = func() {}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "torture"); err != nil {
			return nil, "", done, err
		}
		temporary := dir
		done = func() { os.RemoveAll(temporary) }
	} else if err = os.MkdirAll(dir, 0o755); err != nil {
		return nil, "", done, err
	}
	if set, err = makeSet(); err == nil {
		err = writeSet(set, dir)
	}
	return set, dir, done, err
}
