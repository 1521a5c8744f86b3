package main

import (
	"context"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/role/payment"
)

// billFolder is gateway.Bills over a city's folder: APP_ID/trade-2026-05-11.csv.zip, and whatever follows the date.
// A file is whole when it stands there: write it under another name, and rename it.
type billFolder struct{ path string }

// Bill opens a file of the merchant.
func (f billFolder) Bill(_ context.Context, merchant payment.Merchant, bill gateway.Bill) (*gateway.BillFile, error) {
	dir := filepath.Join(f.path, url.PathEscape(string(merchant.App))) // no number of an app leads out of the folder
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		suffix, is := strings.CutPrefix(entry.Name(), bill.Type+"-"+bill.Date+".")
		if !is || !entry.Type().IsRegular() {
			continue
		}
		file, err := os.Open(filepath.Join(dir, entry.Name()))
		if err != nil {
			return nil, err
		}
		info, err := file.Stat()
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("%s_%s_%s.%s", merchant.App, bill.Date, bill.Type, suffix)
		return &gateway.BillFile{Name: name, Modified: info.ModTime(), Content: file}, nil
	}
	return nil, fmt.Errorf("bill %s of %s: %w", bill.Type, bill.Date, fs.ErrNotExist)
}
