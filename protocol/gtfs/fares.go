package gtfs

import (
	"fmt"
	"strings"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
)

// currency is the one that a feed must be in, with two decimals (ISO 4217).
const currency = "CNY"

func (p *parser) readCategories() {
	var standard Category
	p.each("rider_categories.txt", []string{"rider_category_id", "rider_category_name", "is_default_fare_category"}, []string{"eligibility_url"}, func(row form.Row) {
		category := RiderCategory{Name: row.Cell("rider_category_name"), IsDefault: p.number(row, "is_default_fare_category", 0, 1, 0) == 1}
		once(p, row, "rider_category_id", p.feed.Categories, category)
		if category.IsDefault && standard != "" {
			p.fail(row.Fault("is_default_fare_category", fmt.Sprintf("not supported: %q is the default already, and one is taken for riders without an identity of their own", standard)))
		}
		if category.IsDefault {
			standard = Category(row.Cell("rider_category_id"))
		}
	})
}

func (p *parser) readMedia() {
	p.each("fare_media.txt", []string{"fare_media_id", "fare_media_type"}, []string{"fare_media_name"}, func(row form.Row) {
		p.id(row, "fare_media_type")
		once(p, row, "fare_media_id", p.feed.Media, Media{Name: row.Cell("fare_media_name"), Type: MediaType(p.number(row, "fare_media_type", 0, 4, 0))})
	})
}

func (p *parser) readProducts() {
	p.each("fare_products.txt", []string{"fare_product_id", "amount", "currency"}, []string{"fare_product_name", "rider_category_id", "fare_media_id"}, func(row form.Row) {
		id := ProductID(p.id(row, "fare_product_id"))
		product := Product{Name: row.Cell("fare_product_name"), AmountFen: p.amount(row), Line: row.Line,
			Category: refer(p, row, "rider_category_id", p.feed.Categories, "rider_categories.txt"),
			Media:    refer(p, row, "fare_media_id", p.feed.Media, "fare_media.txt")}
		for _, other := range p.feed.Products[id] {
			if other.Category == product.Category && other.Media == product.Media {
				p.fail(row.Fault("fare_product_id", fmt.Sprintf("%q stands twice for one rider category and one medium (line %d)", id, other.Line)))
			}
		}
		p.feed.Products[id] = append(p.feed.Products[id], product)
	})
}

// amount reads an amount of yuan with two decimals; a transfer's may be negative.
func (p *parser) amount(row form.Row) money.Fen {
	if got := row.Cell("currency"); got != currency {
		p.fail(row.Fault("currency", fmt.Sprintf("%q is not supported: amounts are in %s", got, currency)))
		return 0
	}
	text := row.Cell("amount")
	digits, negative := strings.CutPrefix(text, "-")
	amount, err := money.ParseYuan(digits)
	whole, decimals, _ := strings.Cut(digits, ".")
	if err != nil || len(decimals) != 2 || whole == "" || amount > maxAmount {
		p.fail(row.Fault("amount", fmt.Sprintf("%q is no amount of yuan with two decimals up to 655.35, like 2.00", text)))
		return 0
	}
	if negative {
		return -amount
	}
	return amount
}

func (p *parser) readLegRules() {
	seen := map[LegRule]int{}
	table := p.each("fare_leg_rules.txt", []string{"fare_product_id"},
		[]string{"leg_group_id", "network_id", "from_area_id", "to_area_id", "from_timeframe_group_id", "to_timeframe_group_id", "rule_priority"}, func(row form.Row) {
			p.id(row, "fare_product_id")
			rule := LegRule{
				Network:  refer(p, row, "network_id", p.feed.Networks, "networks.txt or routes.txt"),
				From:     refer(p, row, "from_area_id", p.feed.Areas, "areas.txt"),
				To:       refer(p, row, "to_area_id", p.feed.Areas, "areas.txt"),
				FromTime: refer(p, row, "from_timeframe_group_id", p.feed.Timeframes, "timeframes.txt"),
				ToTime:   refer(p, row, "to_timeframe_group_id", p.feed.Timeframes, "timeframes.txt"),
				Product:  refer(p, row, "fare_product_id", p.feed.Products, "fare_products.txt"),
			}
			if line, twice := seen[rule]; twice {
				p.fail(row.Fault("", fmt.Sprintf("says the same as line %d: these columns are the file's key", line)))
			}
			seen[rule] = row.Line
			for _, product := range p.feed.Products[rule.Product] {
				if product.AmountFen < 0 {
					p.fail(row.Fault("fare_product_id", fmt.Sprintf("%q costs less than nothing (fare_products.txt, line %d): only a transfer may", rule.Product, product.Line)))
				}
			}
			rule.Group, rule.Priority, rule.Line = LegGroup(row.Cell("leg_group_id")), p.number(row, "rule_priority", 0, 1_000_000_000, 0), row.Line
			p.feed.Legs = append(p.feed.Legs, rule)
		})
	if p.err == nil && len(p.feed.Legs) == 0 {
		p.failFile("fare_leg_rules.txt", "has no rule: every fare would be unknown")
	}
	p.feed.HasPriority = table != nil && table.Has("rule_priority")
}

// refuseJoins: which legs are one is what the gates say here. A rule about it that was not read would
// charge a ride twice.
func (p *parser) refuseJoins() {
	p.each("fare_leg_join_rules.txt", []string{"from_network_id", "to_network_id"}, []string{"from_stop_id", "to_stop_id"}, func(row form.Row) {
		p.fail(row.Fault("", "not supported: legs are joined by entry and exit taps; what joins without gates is a rule of fare_transfer_rules.txt"))
	})
}

func (p *parser) readTransferRules() {
	groups := map[LegGroup]bool{}
	for _, rule := range p.feed.Legs {
		groups[rule.Group] = true
	}
	seen := map[TransferRule]int{}
	p.each("fare_transfer_rules.txt", []string{"fare_transfer_type"},
		[]string{"from_leg_group_id", "to_leg_group_id", "transfer_count", "duration_limit", "duration_limit_type", "fare_product_id"}, func(row form.Row) {
			rule := TransferRule{
				From:     refer(p, row, "from_leg_group_id", groups, "fare_leg_rules.txt"),
				To:       refer(p, row, "to_leg_group_id", groups, "fare_leg_rules.txt"),
				Count:    p.number(row, "transfer_count", NoTransferLimit, 1_000_000, 0),
				LimitSec: p.number(row, "duration_limit", 1, 7*86400, 0),
				Product:  refer(p, row, "fare_product_id", p.feed.Products, "fare_products.txt"),
			}
			if line, twice := seen[rule]; twice {
				p.fail(row.Fault("", fmt.Sprintf("says the same as line %d: these columns are the file's key", line)))
			}
			seen[rule] = row.Line
			p.checkTransfer(row, rule)
			rule.Between, rule.Cost = DurationBetween(p.number(row, "duration_limit_type", 0, 3, 0)), TransferCost(p.number(row, "fare_transfer_type", 0, 2, 0))
			rule.Line = row.Line
			p.feed.Transfers = append(p.feed.Transfers, rule)
		})
}

func (p *parser) checkTransfer(row form.Row, rule TransferRule) {
	p.id(row, "fare_transfer_type")
	switch {
	case (rule.From == rule.To) != (row.Cell("transfer_count") != "") && rule.From+rule.To != "":
		p.fail(row.Fault("transfer_count", "stands where from_leg_group_id and to_leg_group_id are the same, and nowhere else"))
	case row.Cell("transfer_count") == "0":
		p.fail(row.Fault("transfer_count", "0: it is -1 (no limit) or at least 1"))
	case (rule.LimitSec == 0) != (row.Cell("duration_limit_type") == ""):
		p.fail(row.Fault("duration_limit_type", "stands where there is a duration_limit, and nowhere else"))
	}
	for _, product := range p.feed.Products[rule.Product] {
		if product.AmountFen < 0 && row.Cell("fare_transfer_type") != "1" {
			p.fail(row.Fault("fare_product_id", fmt.Sprintf("%q costs less than nothing (fare_products.txt, line %d): only fare_transfer_type 1 can take off", rule.Product, product.Line)))
		}
	}
}
