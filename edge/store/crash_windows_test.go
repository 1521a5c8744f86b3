package store_test

func addTasks(map[string]func(string) error) {}
