"""The ground on AWS: a private network, keys, a private EKS cluster, and what watches over them."""
