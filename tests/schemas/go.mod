module sovereign/tests/schemas

go 1.24

require k8s.io/kubernetes v1.33.6
