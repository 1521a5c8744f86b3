package prompt

// row is all there is to a situation. Rows that say the same share a clip.
type row struct {
	clip               string
	lamp               Lamp
	sound              Sound
	screenZH, screenEN string
	voiceZH, voiceEN   string
}

// table has a row for every situation. Who changes a voice makes the clips anew: go generate.
func table() map[situation]row {
	return map[situation]row{
		board: {"board", Green, Accepted, "请上车", "Please board",
			"刷码成功,请上车。", "Accepted. Please board."},
		enter: {"enter", Green, Accepted, "请进站", "Please enter",
			"刷码成功,请进站。", "Accepted. Please enter."},
		leave: {"leave", Green, Accepted, "请出站", "Please exit",
			"刷码成功,请出站。", "Accepted. Please exit."},
		unreadable: {"unreadable", Yellow, Again, "请再刷一次", "Please scan again",
			"请再刷一次。", "Please scan again."},
		noRideCode: {"no-ride-code", Yellow, Again, "请出示乘车码", "Show your ride code",
			"请打开乘车码再刷。", "Please show your ride code."},
		notValid: {"not-valid", Red, Refused, "此码无效", "Code not valid",
			"此码无效,请刷新再刷。", "Code not valid. Please refresh."},
		expired: {"expired", Yellow, Again, "码已过期 请刷新", "Expired: refresh",
			"码已过期,请刷新再刷。", "Code expired. Please refresh and rescan."},
		clockAhead: {"clock-ahead", Yellow, Again, "手机时间不准", "Phone clock is wrong",
			"手机时间不对,请打开自动时间。", "Phone clock is wrong. Please use automatic time."},
		authorizationOver: {"authorization-over", Yellow, Again, "请联网更新", "Go online to renew",
			"请打开手机网络,刷新再刷。", "Please go online, refresh, and rescan."},
		keyUnknown: {"key-unknown", Yellow, Again, "请联网更新后再刷", "Refresh online, rescan",
			"无法查验,请联网刷新再刷。", "Cannot be checked. Please refresh online."},
		overLimit: {"over-limit", Red, Refused, "超过单笔限额", "Over the trade limit",
			"超过限额,请用别的方式付款。", "Over the limit. Please pay another way."},
		cardNotTaken: {"card-not-taken", Red, Refused, "此卡不可用", "Card not taken here",
			"此卡不能用,请换一张卡。", "Card not taken here. Please choose another."},
		cardData: {"card-data", Red, Refused, "请更新卡片", "Card must be renewed",
			"此卡不能用,请联网刷新。", "Card not usable. Please renew it online."},
		versionUnknown: {"not-supported", Red, Refused, "暂不支持此码", "Code not supported",
			"不支持此码,请用别的方式付款。", "Code not supported. Please pay another way."},
		repeated: {"repeated", Yellow, Again, "请勿重复刷码", "Already used: refresh",
			"此码已经刷过,请刷新再刷。", "Already used. Please refresh and rescan."},
		notServed: {"not-supported", Red, Refused, "暂不支持此码", "Code not supported",
			"不支持此码,请用别的方式付款。", "Code not supported. Please pay another way."},
		denied: {"denied", Red, Refused, "暂不可用", "Not usable now",
			"暂不可用,请用别的方式付款。", "Not usable now. Please pay another way."},
		tooSoon: {"too-soon", Yellow, Again, "请稍后再刷", "Please wait a moment",
			"请稍后再刷。", "Please wait a moment."},
		refusedOnline: {"refused-online", Red, Refused, "支付未通过", "Payment refused",
			"付款没有成功,请用别的方式付款。", "Payment refused. Please pay another way."},
		notReady: {"not-ready", Red, Broken, "设备未就绪", "Gate not ready",
			"设备没有准备好,请走别的通道。", "Gate not ready. Please use another gate."},
		gateFault: {"gate-fault", Red, Broken, "设备故障", "Gate out of order",
			"设备故障,请走别的通道。", "Out of order. Please use another gate."},
	}
}
